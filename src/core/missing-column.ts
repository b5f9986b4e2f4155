// What was probably meant by the name of a column that the table lacks: another column, or no column at all. Pure.
import type { ColumnUse } from './mapped-columns.ts'
import { nearest } from './nearest.ts'

/** Anything but the letters, digits and blanks of a name: CEL, SQL, or a path into JSON. */
const COMPUTED = /[^\p{L}\p{N}\s_$-]|->/u
const WORDS_OF_CEL: ReadonlyMap<string, string> = new Map([
  ...['null', 'none', 'nil', 'undefined'].map((word) => [word, 'null'] as const),
  ['true', 'true'],
  ['false', 'false'],
])

/** `; did you mean "email"?`, or `.`: the end of a sentence. */
export function whatWasMeant(
  { column, as }: Pick<ColumnUse, 'column' | 'as'>,
  table: { readonly name: string; readonly columns: readonly string[] },
): string {
  const word = as === 'expression' ? WORDS_OF_CEL.get(column.toLowerCase()) : undefined
  if (word !== undefined) return `; CEL writes ${word}.`
  if (as === 'expression' && column === table.name) return '; columns stand without their table.'
  const own = ownColumn(column, table)
  if (own !== null) return `; columns stand without their table: ${own}.`
  if (as === 'source' && COMPUTED.test(column)) return `; what is computed is {value: ${celOf(column)}}.`
  const meant = nearest(column, table.columns)
  if (meant !== null) return `; did you mean "${meant.replaceAll('"', '""')}"?`
  if (as === 'source') return `; a text that is the same for everybody is {const: ${column}}.`
  return as === 'expression' ? `; a text stands in quotes: "${column}".` : '.'
}

/** `users.email`, `public.users.email`. */
function ownColumn(text: string, table: { readonly name: string; readonly columns: readonly string[] }): string | null {
  const [last, before] = text.split('.').reverse()
  return before === table.name && last !== undefined && table.columns.includes(last) ? last : null
}

/** SQL's way into JSON as CEL has it; anything else is for whoever wrote it. */
function celOf(text: string): string {
  const path = text.replaceAll(/\s*->>?\s*'(\w+)'/g, '.$1')
  return /^\w+(?:\.\w+)+$/.test(path) ? path : '…'
}
