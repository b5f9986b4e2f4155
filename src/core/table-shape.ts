// What is compared of a followed table, between two starts and while it is followed (postgres/table-shape.ts reads it). Pure.

export interface TableShape {
  readonly oid: number
  /** Names of the primary key's columns, as JSON: rows are stored under their values. */
  readonly key: string
  /** Of each column that is read, by name: its place and type. Rewritten values come in no stream. */
  readonly columns: { readonly [name: string]: string }
  /** Which partitions there are; a partition comes and goes with its rows, which no stream tells. */
  readonly partitions: string
  /** By what the table is published, null: there is no such publication. Out of it and in again, what happened meanwhile was not streamed. */
  readonly membership: string | null
}

export interface ShapeChange {
  readonly code:
    | 'table_replaced'
    | 'publication_changed'
    | 'primary_key_changed'
    | 'partitions_changed'
    | 'columns_changed'
  /** What befell it, for people: `The table public.users …`. */
  readonly what: string
  /** Rows may be gone that no stream told to be. */
  readonly sweep: boolean
}

/** The gravest difference; null: nothing that matters. Columns that only one of them names are the mapping's matter. */
export function shapeChange(was: TableShape, is: TableShape): ShapeChange | null {
  if (was.oid !== is.oid) {
    return { code: 'table_replaced', what: 'was replaced by another one of the same name', sweep: true }
  }
  if (was.membership !== is.membership) {
    const what = 'was taken out of the publication or put into it, or the publication was altered'
    return { code: 'publication_changed', what, sweep: true }
  }
  if (was.key !== is.key) return { code: 'primary_key_changed', what: 'has another primary key', sweep: true }
  if (was.partitions !== is.partitions) {
    return { code: 'partitions_changed', what: 'has other partitions', sweep: true }
  }
  const changed = Object.keys(was.columns).filter((name) => {
    const now = is.columns[name]
    return now !== undefined && now !== was.columns[name]
  })
  if (changed.length === 0) return null
  return { code: 'columns_changed', what: `has other columns under these names: ${changed.join(', ')}`, sweep: false }
}
