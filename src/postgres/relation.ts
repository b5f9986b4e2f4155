// How a table looked at one point of the WAL, laid over how it looks now: which value of a tuple belongs to which wanted
// column. Guarantees that a value of another type, or of a column that only shares the name, is never taken for today's;
// and that the key is the key, or it throws: a change of which nobody knows the row must not be passed over.
import { SuprsyncError } from '../core/error.ts'
import type { Table } from '../core/row.ts'

/** As pgoutput's Relation message lists them, in the order of the tuples. */
export interface RelationColumn {
  readonly name: string
  readonly typeOid: number
  /** Part of the replica identity; with REPLICA IDENTITY FULL every column is. */
  readonly identity: boolean
}

export interface Overlay {
  /** For each column of the tuple: its place in `table.wanted`, or -1 when nobody wants it. */
  readonly places: readonly number[]
  /** Wanted columns of which the tuples carry no value that could be read today: they are read again. */
  readonly changed: readonly string[]
}

/** @throws SuprsyncError `protocol_key_missing` */
export function layOver(table: Table, columns: readonly RelationColumn[]): Overlay {
  const { wanted, key } = table
  const renamed = renamedKey(table, columns)
  const places = columns.map((column) => {
    const name = column === renamed?.was ? renamed.is : column.name
    const place = wanted.findIndex((it) => it.name === name)
    // What did not identify rows then carries no old values: a change of it, or a delete, would not tell the row.
    if (place < key.length && !column.identity) return -1
    // A key of another type has the same text (int4 became int8); any other column is read as what it is now, or again.
    return place < key.length || wanted[place]?.type.oid === column.typeOid ? place : -1
  })
  const found = new Set(places)
  if (key.some((_, place) => !found.has(place))) {
    const name = `${table.schema}.${table.name}`
    throw new SuprsyncError(
      'protocol_key_missing',
      `Changes of ${name} come without today's primary key (${key.join(', ')}): the key was changed. Its rows have to be read anew.`,
      { details: { table: name } },
    )
  }
  return { places, changed: wanted.filter((_, place) => !found.has(place)).map(({ name }) => name) }
}

/**
 * ALTER TABLE … RENAME of a key column leaves its values, its type and its position: then, and only then, the former name
 * stands for the new one.
 */
function renamedKey(
  { key, columns: now, wanted }: Table,
  columns: readonly RelationColumn[],
): { readonly was: RelationColumn; readonly is: string } | null {
  const missing = key.filter((name) => !columns.some((column) => column.name === name))
  const [is, ...more] = missing
  if (is === undefined || more.length > 0) return null
  const position = now.findIndex(({ name }) => name === is)
  const was = columns[position]
  const type = wanted.find(({ name }) => name === is)?.type.oid
  const sameColumn = was?.identity && was.typeOid === type && !now.some(({ name }) => name === was.name)
  return sameColumn ? { was, is } : null
}
