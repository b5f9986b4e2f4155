// The table as SQL would read it: public.users, "App Users", sales."Users.2024", with "" for a quote inside quotes.
import type { TableName } from './config.ts'
import { isIdentifier } from './scalar.ts'

/** Schema `public` where none is named; unquoted parts are folded to lower case as PostgreSQL does. Null: no table name. */
export function parseTableName(text: string): TableName | null {
  const parts: string[] = []
  let rest = text.trim()
  for (;;) {
    const match = /^(?:"((?:[^"]|"")+)"|([\p{L}_][\p{L}\p{N}_$]*))/u.exec(rest)
    if (match === null) return null
    parts.push(match[1] !== undefined ? match[1].replaceAll('""', '"') : foldCase(match[2] ?? ''))
    rest = rest.slice(match[0].length).trimStart()
    if (rest === '') break
    if (!rest.startsWith('.')) return null
    rest = rest.slice(1).trimStart()
  }
  const [first, second] = parts
  if (first === undefined || parts.length > 2 || !parts.every(isIdentifier)) return null
  return second === undefined ? { schema: 'public', name: first } : { schema: first, name: second }
}

/** Only ASCII: in a multi-byte encoding the server leaves the other letters alone. */
function foldCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase())
}
