// What is compared of a followed table, between two starts and while it is followed (postgres/table-shape.ts reads it). Pure.

export interface TableShape {
  readonly oid: number
  /** Names of the primary key's columns, as JSON: rows are stored under their values. */
  readonly key: string
  /** Of each column that is read, by name: its place and type. Rewritten values come in no stream. */
  readonly columns: { readonly [name: string]: string }
  /** Which partitions there are and since when; one comes and goes with its rows, which no stream tells. */
  readonly partitions: string
  /**
   * Where the rows are kept, those of partitions too: other files after a rewrite, whose values come in no stream, and after a
   * TRUNCATE, which is not streamed of a partition. Missing: not noted yet.
   */
  readonly storage?: string
  /** What the WAL tells of a changed row, in each part. Another one asks for no reading, but may keep the application from writing. */
  readonly identity?: string
  /** By what the table is published, null: there is no such publication. Out of it and in again, what happened meanwhile was not streamed. */
  readonly membership: string | null
}

export interface ShapeChange {
  readonly code:
    | 'table_replaced'
    | 'publication_changed'
    | 'primary_key_changed'
    | 'partitions_changed'
    | 'table_rewritten'
    | 'columns_changed'
  /** What befell it, for people: `The table public.users …`. */
  readonly what: string
  /** Rows may be gone that no stream told to be. */
  readonly sweep: boolean
  /** Changes were missed that somebody may want to look at first (`recovery: manual`). */
  readonly isGap: boolean
}

/** The gravest difference; null: nothing that matters. Columns that only one of them names are the mapping's matter. */
export function shapeChange(was: TableShape, is: TableShape): ShapeChange | null {
  if (was.oid !== is.oid) return gap('table_replaced', 'was replaced by another one of the same name')
  if (was.membership !== is.membership) {
    const what = 'was taken out of the publication or put into it, or the publication was altered'
    return gap('publication_changed', what)
  }
  if (was.key !== is.key) return gap('primary_key_changed', 'has another primary key')
  if (was.partitions !== is.partitions) return gap('partitions_changed', 'has other partitions')
  const isRewritten = was.storage !== undefined && was.storage !== is.storage
  const changed = Object.keys(was.columns).filter((name) => {
    const now = is.columns[name]
    return now !== undefined && now !== was.columns[name]
  })
  if (changed.length > 0) {
    const key = changed.filter((name) => (JSON.parse(is.key) as readonly string[]).includes(name))
    // Under other keys the rows are others, and those of before are gone.
    if (key.some((name) => !isInteger(was.columns[name]) || !isInteger(is.columns[name])))
      return { code: 'primary_key_changed', what: 'has a primary key of another type', sweep: true, isGap: false }
    const what = `has other columns under these names: ${changed.join(', ')}`
    return { code: 'columns_changed', what, sweep: isRewritten, isGap: false }
  }
  if (!isRewritten) return null
  const what = 'was rewritten or emptied, as by ALTER TABLE, VACUUM FULL or TRUNCATE'
  return { code: 'table_rewritten', what, sweep: true, isGap: false }
}

/** smallint, integer or bigint: the same text in each. */
function isInteger(column: string | undefined): boolean {
  return /^\d+ (20|21|23)( |$)/.test(column ?? '')
}

function gap(code: ShapeChange['code'], what: string): ShapeChange {
  return { code, what, sweep: true, isGap: true }
}
