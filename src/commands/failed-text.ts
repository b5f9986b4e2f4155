// Failures as `failed list` prints them, for people and as JSON. Ids and keys come from rows: what could write to the terminal
// is spelt out.
import type { Failed } from '../state/failed-store.ts'
import { formatTable } from './output.ts'

/** Without a newline at its end. */
export function formatFailed(failed: readonly Failed[], { more }: { readonly more: boolean }): string {
  if (failed.length === 0) return 'Nobody is set aside.'
  const rows = failed.map((each) => [
    each.distinctId === null ? `(row ${printable(each.row ?? '')})` : printable(each.distinctId),
    each.code,
    each.status === null ? '-' : String(each.status),
    setAside(each),
    each.key === null ? '-' : printable((each.keys ?? [each.key]).join(', ')),
    String(each.attempts),
    instant(each.since) ?? '-',
    printable(each.message),
  ])
  const table = formatTable(['id', 'code', 'http', 'aside', 'key', 'attempts', 'since', 'reason'], rows)
  return more ? `${table}\n… and more: --limit shows them.` : table
}

/** Names are stable: docs/operations.md. */
export function failedJson(failed: Failed): object {
  return {
    id: failed.distinctId,
    row: failed.row,
    code: failed.code,
    status: failed.status,
    key: failed.key,
    keys: failed.keys,
    message: failed.message,
    attempts: failed.attempts,
    since: instant(failed.since),
  }
}

/** Of the key alone everything else was sent. */
function setAside({ row, keys }: Failed): string {
  if (row !== null) return 'row'
  return keys === null ? 'user' : 'key'
}

function instant(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}

/** Control, bidirectional and other invisible characters as `\u{1b}`. */
export function printable(text: string): string {
  return text.replace(/\p{C}/gu, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`)
}
