// The plan as people read it and as JSON lines. Values are masked unless asked for (core/masking.ts); ids and keys come from rows:
// what could write to the terminal is spelt out.
import { isJsonObject, type Json } from '../core/json.ts'
import { type Masking, type ShownRequest, showRequest } from '../core/masking.ts'
import type { PlannedUser } from '../core/plan-report.ts'
import type { Reason } from '../core/profile.ts'
import { printable } from './failed-text.ts'
import type { PlanEnd } from './plan-run.ts'
import type { UnsentRow } from './user-scan.ts'

/** Whether there is more to say of a user than that nothing would be sent. */
export function isRemarkable(user: PlannedUser): boolean {
  const { action, reasons, duplicates, drifted, setAside } = user
  return action !== 'unchanged' || reasons.length > 0 || duplicates.length > 0 || drifted || setAside !== null
}

/** Without a newline at its end. */
export function formatUser(user: PlannedUser, masking: Masking): string {
  const { distinctId, action, requests, reasons, duplicates, drifted, setAside, failure } = user
  return [
    `${printable(distinctId)}  ${action.replaceAll('_', ' ')}`,
    ...requests.flatMap((request) => requestLines(showRequest(request, masking))),
    ...reasons.map(reasonLine),
    ...duplicates.map((key) => `  not sent  row ${printable(key)}: row ${printable(user.row ?? '')} goes before it`),
    ...(drifted ? ['  SuprSend does not hold what was sent: somebody changed it there'] : []),
    ...(setAside === null || action === 'unchanged'
      ? []
      : [`  set aside (${printable(setAside)}): it waits for \`suprsync failed retry\` or a change of its row`]),
    ...(failure === null ? [] : [`  not compared: ${failure.message}`]),
  ].join('\n')
}

export function formatUnsent({ row, distinctId, reasons }: UnsentRow): string {
  if (distinctId === null) return [`(row ${printable(row)})  no user`, ...reasons.map(reasonLine)].join('\n')
  return `(row ${printable(row)})  not sent: an earlier row is ${printable(distinctId)} already`
}

export function formatSummary({ summary, more }: PlanEnd, masking: Masking): string {
  const { actions, duplicates, drifted, leftOut, failures } = summary
  const changes = actions.create + actions.update + actions.delete
  const counted = [
    `${count(actions.create)} to create`,
    `${count(actions.update)} to update`,
    `${count(actions.delete)} to delete`,
    `${count(actions.unchanged)} unchanged`,
    ...(actions.not_compared === 0 ? [] : [`${count(actions.not_compared)} not compared`]),
  ].join(', ')
  return [
    `${count(summary.rows)} ${summary.rows === 1 ? 'row' : 'rows'} read; users: ${counted}. Nothing was sent.`,
    ...leftOut.map((each) => `left out   ${count(each.count)} ${printable(each.key)} ${each.code}`),
    ...(duplicates === 0 ? [] : [`duplicates ${count(duplicates)}`]),
    ...(drifted === 0 ? [] : [`drifted    ${count(drifted)}`]),
    ...failures.map((each) => `GET failed ${count(each.count)} ${each.code}`),
    ...(more ? ['There are more rows: --limit <n> or --all reads them.'] : []),
    ...(changes > 0 && masking === 'masked' ? ['Values are masked; --show-values shows them.'] : []),
  ].join('\n')
}

/** Names are stable: docs/operations.md. */
export function userJson(user: PlannedUser, masking: Masking): object {
  return {
    type: 'user',
    id: user.distinctId,
    row: user.row,
    action: user.action,
    requests: user.requests.map((request) => showRequest(request, masking)),
    left_out: user.reasons,
    duplicates: user.duplicates,
    drifted: user.drifted,
    set_aside: user.setAside,
    failure: user.failure,
  }
}

export function unsentJson({ row, distinctId, reasons }: UnsentRow): object {
  return { type: 'row', row, id: distinctId, left_out: reasons }
}

export function summaryJson({ summary, more }: PlanEnd, masking: Masking): object {
  const { rows, actions, duplicates, drifted, leftOut, failures } = summary
  const masked = masking === 'masked'
  return { type: 'summary', rows, users: actions, duplicates, drifted, left_out: leftOut, failures, more, masked }
}

function reasonLine({ key, code, message }: Reason): string {
  return `  left out  ${printable(key)}  ${code}: ${printable(message)}`
}

function requestLines({ method, body }: ShownRequest): readonly string[] {
  if (body === null) return [`  ${method}`]
  const operations = body.operations
  const lines =
    method === 'PATCH' && Array.isArray(operations) ? operations.flatMap(operationLines) : memberLines('', body)
  return lines.map((line, at) => `  ${(at === 0 ? method : '').padEnd(6)} ${line}`)
}

function operationLines(operation: Json): readonly string[] {
  if (!isJsonObject(operation)) return []
  return Object.entries(operation).flatMap(([operator, operand]) => {
    const verb = operator.replace('$', '').padEnd(7)
    if (isJsonObject(operand)) return memberLines(verb, operand)
    return Array.isArray(operand) ? operand.map((key) => `${verb}${plain(key)}`) : []
  })
}

/** A line for each value; what stands beside a push token goes with it. */
function memberLines(verb: string, members: { readonly [key: string]: Json }): readonly string[] {
  const { $id_provider: provider, $bundle_id: bundle, ...values } = members
  const beside = [provider, bundle].filter((each) => each !== undefined).map((each) => ` ${plain(each)}`)
  return Object.entries(values).flatMap(([key, value]) => {
    const list = Array.isArray(value) && key.startsWith('$') ? value : [value]
    return list.map((each) => `${verb}${printable(key)}  ${plain(each)}${beside.join('')}`)
  })
}

function plain(value: Json): string {
  return printable(typeof value === 'string' ? value : JSON.stringify(value))
}

function count(number: number): string {
  return number.toLocaleString('en-US')
}
