// What `init` proposes: the parts of a mapping file, each with the reason for it, before anybody writes or asks. Pure values;
// guess-*.ts make them, commands/init-file.ts writes them as YAML.
import { expressionColumns } from './expression.ts'
import type { SurveyTable } from './survey.ts'

/** A source as the file states it: a column's name, or an object with `column`, `value`, `when`, `map`, … */
export type Written = string | number | boolean | readonly Written[] | { readonly [key: string]: Written }

/** The one variable that a proposed source refers to: without a bot token there is no Slack. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: the file's own spelling of a variable.
export const SLACK_BOT_TOKEN = '${SLACK_BOT_TOKEN}'

export interface ProposedLine {
  readonly key: string
  readonly source: Written
  /** False: written as a comment, for the engineer to switch on. */
  readonly on: boolean
  readonly why: string
}

export interface ProposedWhen {
  /** CEL. */
  readonly text: string
  readonly why: string
}

export interface ProposedPart {
  readonly table: SurveyTable
  readonly why: string
  readonly when: ProposedWhen | null
  readonly profile: readonly ProposedLine[]
}

export interface ProposedChild extends ProposedPart {
  /** Columns that hold the users table's key, in the key's order. */
  readonly user: readonly string[]
  /** False: nothing of it is sure enough, or the users table gives the same already. */
  readonly on: boolean
}

export interface Proposal extends ProposedPart {
  readonly distinctId: { readonly column: string; readonly why: string }
  /** Conditions that are not for us to choose, as CEL. */
  readonly whenHints: readonly string[]
  readonly children: readonly ProposedChild[]
  /** Columns that look like secrets or addresses nobody confirmed. */
  readonly withheld: readonly string[]
}

/** The columns that a part reads: what the role must be allowed to read. */
export function partColumns(part: ProposedPart, always: readonly string[]): readonly string[] {
  const columns = new Set([...part.table.key, ...always])
  for (const column of part.when === null ? [] : expressionColumns(part.when.text)) columns.add(column)
  for (const line of part.profile) if (line.on) for (const column of sourceColumns(line.source)) columns.add(column)
  return [...columns]
}

export function sourceColumns(source: Written): readonly string[] {
  if (typeof source === 'string') return [source]
  if (Array.isArray(source)) return source.flatMap(sourceColumns)
  return typeof source === 'object' ? objectColumns(source) : []
}

function objectColumns(source: object): readonly string[] {
  return Object.entries(source).flatMap(([key, value]: [string, unknown]) => {
    if (typeof value === 'string') {
      if (key === 'column') return [value]
      return key === 'value' || key === 'when' ? expressionColumns(value) : []
    }
    const holds = typeof value === 'object' && value !== null && key !== 'map' && key !== 'const'
    return holds ? objectColumns(value) : []
  })
}
