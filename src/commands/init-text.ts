// What `init` tells when it is done: what was proposed, the SQL to run and the next steps; the same as JSON for scripts.
import { type Proposal, partColumns } from '../core/proposal.ts'
import { plainName, type Survey } from '../core/survey.ts'
import { tableText } from './init-file.ts'
import { oneLine } from './yaml-text.ts'

export interface InitResult {
  readonly proposal: Proposal
  /** Null: the mapping was printed. */
  readonly file: string | null
  readonly yaml: string
  readonly sql: string
  readonly notes: readonly string[]
}

/** What a person should know besides the file. */
export function notes(survey: Survey, proposal: Proposal): readonly string[] {
  const all: string[] = []
  if (survey.truncated) all.push('There are more tables than were looked at: --table names one of the others.')
  if (!proposal.profile.some(({ key, on }) => on && key.startsWith('$'))) {
    const children = proposal.children.some((child) => child.on && child.profile.some(({ on }) => on))
    if (!children) all.push('No address was found: nothing could be sent to these users yet.')
  }
  if (!proposal.profile.some(({ on }) => on))
    all.push('Nothing of the users table was sure enough: switch on a line of `profile` first.')
  return all
}

/** Without a newline at its end. */
export function initText({ proposal, file, sql, notes: said }: InitResult): string {
  const config = file === null || file === 'config/suprsync.yaml' ? '' : ` --config ${oneLine(file)}`
  const children = proposal.children.filter(({ on }) => on).map(({ table }) => oneLine(plainName(table)))
  const belonging = children.length === 0 ? '' : ` and ${children.join(', ')}`
  return [
    `Proposed from ${oneLine(plainName(proposal.table))}${belonging}${file === null ? '.' : `: ${oneLine(file)}`}`,
    ...said,
    '',
    'SQL for a role with no more than it needs, to be run by the owner of the tables or a superuser:',
    '',
    sql,
    '',
    'Next:',
    '  1. Read the file; every guess says why.',
    '  2. Run the SQL, give the role a password, and set DATABASE_URL to connect as it, and SUPRSEND_API_KEY.',
    `  3. suprsync check${config}   what is missing still`,
    `  4. suprsync plan${config}    what would be sent; nothing is`,
    `  5. suprsync run${config}     the service`,
  ].join('\n')
}

/** Names are stable: docs/operations.md. */
export function initJson({ proposal, file, yaml, sql, notes: said }: InitResult): object {
  return {
    table: tableText(proposal.table),
    why: proposal.why,
    distinct_id: proposal.distinctId.column,
    when: proposal.when?.text ?? null,
    keys: proposal.profile.filter(({ on }) => on).map(({ key }) => key),
    columns: partColumns(proposal, [proposal.distinctId.column]),
    children: proposal.children
      .filter(({ on }) => on)
      .map((child) => ({
        table: tableText(child.table),
        user: child.user,
        when: child.when?.text ?? null,
        keys: [...new Set(child.profile.filter(({ on }) => on).map(({ key }) => key))],
        columns: partColumns(child, child.user),
      })),
    notes: said,
    file,
    yaml,
    sql,
  }
}
