// The whole proposal for one users table: the id, which rows count, the profile and the tables that belong to it. Pure: the
// same catalogue always gives the same file.
import { words } from './column-words.ts'
import { expressionColumns } from './expression.ts'
import { guessChannels } from './guess-channels.ts'
import { guessChildren } from './guess-children.ts'
import { isWithheld, usableColumns } from './guess-columns.ts'
import { guessProperties } from './guess-properties.ts'
import { guessWhen, whenHints } from './guess-when.ts'
import { type Proposal, type ProposedLine, sourceColumns } from './proposal.ts'
import { kindOf, type Survey, type SurveyColumn, type SurveyTable, sameName } from './survey.ts'

export type Proposed =
  | { readonly kind: 'ok'; readonly proposal: Proposal }
  | { readonly kind: 'unfit'; readonly reason: 'no_key' }
  /** Nothing could name a user. `generated`: a column that only for that reason cannot. */
  | { readonly kind: 'unfit'; readonly reason: 'no_id'; readonly generated: string | null }

export interface Frameworks {
  readonly rails: boolean
  readonly supabase: boolean
}

/** @param why why this table, for the file. */
export function proposeMapping(table: SurveyTable, survey: Survey, why: string): Proposed {
  if (table.key.length === 0) return { kind: 'unfit', reason: 'no_key' }
  const distinctId = guessId(table)
  if (distinctId === null) return { kind: 'unfit', reason: 'no_id', generated: generatedId(table) }
  const { rails, supabase } = frameworksOf(table, survey)
  // Of Supabase's users every `role` is "authenticated".
  const columns = usableColumns(table).filter(({ name }) => !(supabase && name === 'role'))
  const when = guessWhen(table)
  const channels = guessChannels(table, columns, { supabase, subject: null })
  const used = new Set([
    distinctId.column,
    ...expressionColumns(when?.text ?? 'true'),
    ...channels.flatMap(({ source }) => sourceColumns(source)),
  ])
  const profile = unique([...channels, ...guessProperties(table, columns, { rails, used })])
  const given = new Set(profile.filter(({ on }) => on).map(({ key }) => key))
  const children = guessChildren(table, survey, { rails, supabase, given })
  const withheld = table.columns.filter(isWithheld).map(({ name }) => name)
  return {
    kind: 'ok',
    proposal: { table, why, distinctId, when, whenHints: whenHints(table, when), profile, children, withheld },
  }
}

export function frameworksOf(table: SurveyTable, survey: Survey): Frameworks {
  const named = (name: string) => survey.tables.find((other) => other.name === name && other.schema === table.schema)
  const migrations = named('schema_migrations')
  const [version, more] = migrations?.columns ?? []
  // Other tools keep a schema_migrations of another shape.
  const rails =
    named('ar_internal_metadata') !== undefined ||
    (version?.name === 'version' && more === undefined && kindOf(version.type) === 'text')
  const has = (name: string) => table.columns.some((column) => column.name === name)
  const supabase = sameName(table, { schema: 'auth', name: 'users' }) && has('raw_user_meta_data') && has('aud')
  return { rails, supabase }
}

/** The primary key, or a unique id beside a composite one. An address changes, and would make another user of the same person. */
function guessId(table: SurveyTable): { readonly column: string; readonly why: string } | null {
  const byName = new Map(table.columns.map((column) => [column.name, column]))
  const [key, second] = table.key
  const only = second === undefined && key !== undefined ? byName.get(key) : undefined
  if (only && identifies(only)) return { column: only.name, why: 'the primary key' }
  const ids = table.columns.filter(
    (column) =>
      column.notNull &&
      identifies(column) &&
      table.unique.some(([first, more]) => first === column.name && more === undefined),
  )
  const best = ids.find(({ name }) => /(^|_)(id|uid|uuid|guid|public_id|external_id)$/.test(words(name))) ?? ids[0]
  return best === undefined
    ? null
    : { column: best.name, why: 'unique and never NULL; the primary key has several columns or no fit type' }
}

function generatedId(table: SurveyTable): string | null {
  const columns = table.columns.map((column) => ({ ...column, generated: false }))
  const { column } = guessId({ ...table, columns }) ?? { column: null }
  return column
}

function identifies(column: SurveyColumn): boolean {
  const kind = kindOf(column.type)
  if (column.generated || (kind !== 'text' && kind !== 'uuid' && kind !== 'integer')) return false
  return !isWithheld(column) && !/e_?mail|phone|mobile|(^|_)name$|username/.test(words(column.name))
}

/** One key once: a second line of a key would be a mistake in the file. Commented ones may repeat. */
function unique(lines: readonly ProposedLine[]): readonly ProposedLine[] {
  const seen = new Set<string>()
  return lines.map((line) => {
    if (!line.on) return line
    if (seen.has(line.key)) return { ...line, on: false, why: `another column is ${line.key} already` }
    seen.add(line.key)
    return line
  })
}
