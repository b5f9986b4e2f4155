// What `init` has to have decided: the users table, the child tables, the file. By flags, by what is clear, or by asking;
// the same questions whatever gives the answers.
import { access } from 'node:fs/promises'
import { parseTableName } from '../config/table-name.ts'
import { errorCode, SuprsyncError } from '../core/error.ts'
import { type Candidate, candidateText, chooseTable, findTable, rankTables, scoreTable } from '../core/guess-table.ts'
import { nearest } from '../core/nearest.ts'
import type { Proposal } from '../core/proposal.ts'
import { plainName, type QualifiedName, type Survey } from '../core/survey.ts'
import type { Dialogue } from './dialogue.ts'
import { oneLine } from './yaml-text.ts'

/** @throws SuprsyncError `usage_invalid` */
export function readTableOption(text: string): QualifiedName {
  const table = parseTableName(text)
  if (table !== null) return table
  throw new SuprsyncError('usage_invalid', 'The table is written as in SQL: public.users or public."App Users".')
}

export interface TableQuestion {
  /** `--table`. */
  readonly wanted: QualifiedName | null
  /** Null: nobody can be asked. */
  readonly dialogue: Dialogue | null
  /** `--yes`: the best is taken, however close the second is. */
  readonly best: boolean
}

export async function decideTable(survey: Survey, question: TableQuestion): Promise<Candidate> {
  const { wanted, dialogue } = question
  if (wanted !== null) return named(survey, wanted)
  const ranked = rankTables(survey)
  if (dialogue !== null) return await askTable(survey, ranked, dialogue)
  const choice = chooseTable(ranked)
  if (choice.kind === 'none') throw noTable()
  if (choice.kind === 'clear' || question.best) return choice.best
  throw new SuprsyncError('usage_table_unclear', 'Several tables could hold the users.', {
    details: {
      candidates: ranked.slice(0, 5).map(candidateText),
      next: `name it: --table ${oneLine(plainName(choice.best.table))}, or take the best with --yes`,
    },
  })
}

function named(survey: Survey, wanted: QualifiedName): Candidate {
  const table = findTable(survey, wanted)
  if (table !== null) return scoreTable(table, survey)
  const meant = nearest(plainName(wanted), survey.tables.map(plainName))
  const hint = meant === null ? '' : `; did you mean ${oneLine(meant)}?`
  throw new SuprsyncError('table_missing', `There is no table ${oneLine(plainName(wanted))}${hint || '.'}`)
}

function noTable(): SuprsyncError {
  return new SuprsyncError('table_unknown', 'No table looks as if it held the users.', {
    details: { next: 'name it: --table schema.name, as in SQL' },
  })
}

async function askTable(survey: Survey, ranked: readonly Candidate[], dialogue: Dialogue): Promise<Candidate> {
  const shown = ranked.slice(0, 5)
  dialogue.say('Which table holds the users?')
  for (const [at, candidate] of shown.entries()) dialogue.say(`  ${at + 1}  ${oneLine(candidateText(candidate))}`)
  for (;;) {
    const answer = await dialogue.ask('Number, or a name as in SQL', shown.length === 0 ? '' : '1')
    const chosen = /^\d+$/.test(answer) ? shown[Number(answer) - 1] : undefined
    if (chosen !== undefined) return chosen
    const name = parseTableName(answer)
    const table = name === null ? null : findTable(survey, name)
    if (table !== null) return scoreTable(table, survey)
    dialogue.say('There is no such table.')
  }
}

/** Asks for each child table that the proposal includes; the others stay, commented out. */
export async function decideChildren(proposal: Proposal, dialogue: Dialogue | null): Promise<Proposal> {
  if (dialogue === null) return proposal
  const children: Proposal['children'][number][] = []
  for (const child of proposal.children) {
    const keys = [...new Set(child.profile.filter(({ on }) => on).map(({ key }) => key))].join(', ')
    const question = `Include ${oneLine(plainName(child.table))} (${oneLine(keys)}; ${oneLine(child.why)})?`
    children.push(child.on && !(await dialogue.confirm(question, true)) ? { ...child, on: false } : child)
  }
  return { ...proposal, children }
}

/** @throws SuprsyncError `init_file_exists` */
export async function refuseExisting(file: string): Promise<void> {
  if (await exists(file)) throw fileExists(file)
}

export function fileExists(file: string, cause?: unknown): SuprsyncError {
  return new SuprsyncError('init_file_exists', `The file ${file} exists, and init never overwrites one.`, {
    details: { next: 'name another with --output, print it with --stdout, or move the old one away' },
    ...(cause !== undefined && { cause }),
  })
}

export async function decideOutput(proposed: string, dialogue: Dialogue): Promise<string> {
  for (;;) {
    const file = await dialogue.ask('Write the mapping file to', proposed)
    if (!(await exists(file))) return file
    dialogue.say(`${oneLine(file)} exists, and is never overwritten: another name, please.`)
  }
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file)
    return true
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false
    throw error
  }
}
