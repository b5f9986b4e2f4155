// Which rows count: what the names of columns say about deleted, disabled and revoked rows. Where a flag is NULL the row is
// kept, for a deletion in SuprSend cannot be undone.
import { inExpression, words } from './column-words.ts'
import { canBeUnset, isNotSet, usableColumns } from './guess-columns.ts'
import type { ProposedWhen } from './proposal.ts'
import { kindOf, type SurveyColumn, type SurveyTable } from './survey.ts'

const GONE =
  /^(is_)?(deleted|removed|discarded|disabled|deactivated|banned|blocked|suspended|archived|revoked|anonymi[sz]ed|erased|closed|unsubscribed|uninstalled|invalidated)(_at|_on|_date)?$|^(date|time)_(deleted|removed|disabled|deactivated)$/
const ALIVE = /^(is_)?(active|enabled|valid)$/

export function guessWhen(table: SurveyTable): ProposedWhen | null {
  const conditions = usableColumns(table).flatMap(condition)
  if (conditions.length === 0) return null
  return { text: conditions.map(({ text }) => text).join(' && '), why: conditions.map(({ why }) => why).join('; ') }
}

function condition(column: SurveyColumn): readonly ProposedWhen[] {
  const name = words(column.name)
  if (GONE.test(name) && canBeUnset(column)) {
    return [{ text: isNotSet(column), why: `${column.name} marks rows that no longer count` }]
  }
  if (ALIVE.test(name) && kindOf(column.type) === 'boolean') {
    const text = column.notNull ? inExpression(column.name) : `${inExpression(column.name)} != false`
    return [{ text, why: `${column.name} is false for rows that do not count` }]
  }
  return []
}

/** Conditions on columns that may well decide, in a way that names do not tell; each in place of the proposed one. */
export function whenHints(table: SurveyTable, proposed: ProposedWhen | null): readonly string[] {
  const before = proposed === null ? '' : `${proposed.text} && `
  return usableColumns(table).flatMap((column) => {
    if (!/^(user_|account_)?(status|state)$/.test(words(column.name))) return []
    const name = inExpression(column.name)
    const kind = kindOf(column.type)
    if (kind === 'integer') return [`${before}${name} == 1`]
    if (kind !== 'text' && kind !== 'enum') return []
    const alive = column.labels.find((label) => /^(active|enabled)$/i.test(label)) ?? column.labels[0] ?? 'active'
    return [`${before}${name} == ${JSON.stringify(alive)}`]
  })
}
