// The rows that `plan` and `reconcile` read: pages of the users table, random rows, rows of one user, and of each child table the rows that belong to them;
// mapped and assembled to users. Short statements on the primary, nothing is written.
import type { Config } from '../config/config.ts'
import { errorCode, SuprsyncError } from '../core/error.ts'
import { childColumns, mappedColumns } from '../core/mapped-columns.ts'
import { type ChildMapping, type Compiled, compileChildMapping, compileMapping, type Mapping } from '../core/mapping.ts'
import type { ChildSpec } from '../core/mapping-spec.ts'
import { type Assembly, assembleUsers, type ReadChild, type SeenUsers } from '../core/plan-assembly.ts'
import { rowKey, rowKeyValues, type Table, type TextRow } from '../core/row.ts'
import { describeTable } from '../postgres/catalogue.ts'
import type { openPool } from '../postgres/connection.ts'
import { matchingRows } from '../postgres/matching-rows.ts'
import { PageReader } from '../postgres/pages.ts'
import { sampleKeys } from '../postgres/sample-keys.ts'

type Pool = ReturnType<typeof openPool>

interface ChildSource {
  readonly source: string
  readonly spec: ChildSpec
  readonly table: Table
  readonly mapping: ChildMapping
}

const SCAN_ROWS = 1_000

export class PlanSource {
  readonly #pool: Pool
  readonly #children: readonly ChildSource[]
  /** The column that holds the distinct_id; null: it is computed. */
  readonly #idColumn: string | null
  readonly #pages: PageReader
  readonly #mapping: Mapping
  readonly table: Table

  private constructor(
    pool: Pool,
    users: { readonly table: Table; readonly mapping: Mapping; readonly idColumn: string | null },
    children: readonly ChildSource[],
  ) {
    this.#pool = pool
    this.#children = children
    this.#idColumn = users.idColumn
    this.#mapping = users.mapping
    this.#pages = new PageReader(pool, users.table)
    this.table = users.table
  }

  /** @throws SuprsyncError `source_reshaped` when mapping and tables do not fit. */
  static async open(pool: Pool, { source, mapping: spec }: Config): Promise<PlanSource> {
    const table = await describe(pool, source.table, mappedColumns(spec))
    const mapping = compiled(compileMapping(spec, table))
    const children: ChildSource[] = []
    for (const [at, child] of spec.children.entries()) {
      const childTable = await describe(pool, child.table, childColumns(child))
      const source = `${child.table.schema}.${child.table.name}`
      children.push({
        source,
        spec: child,
        table: childTable,
        mapping: compiled(compileChildMapping(child, childTable, { users: table, at })),
      })
    }
    const idColumn = spec.distinctId.kind === 'column' ? spec.distinctId.column : null
    return new PlanSource(pool, { table, mapping, idColumn }, children)
  }

  /** No two rows can hold one distinct_id. */
  get idIsKey(): boolean {
    return this.#mapping.idIsKey
  }

  estimateRows(): Promise<number | null> {
    return this.#pages.estimateRows()
  }

  /** The rows after `cursor`, in key order. */
  async page(cursor: TextRow | null, limit: number): Promise<readonly TextRow[]> {
    return (await this.#pages.page(cursor, limit)).rows
  }

  cursorAfter(row: TextRow): TextRow {
    return row.slice(0, this.table.key.length)
  }

  keyOf(row: TextRow): string {
    return rowKey(this.table, row)
  }

  /** Keys of random rows: `limit` of them, or all there are. */
  sampleKeys(limit: number): Promise<readonly TextRow[]> {
    return sampleKeys(this.#pool, this.table, limit)
  }

  /** Those that are there. */
  async rowsOf(keys: readonly TextRow[]): Promise<readonly TextRow[]> {
    return keys.length === 0 ? [] : (await this.#pages.rows(keys)).rows
  }

  /** The same, of keys as state holds them; null: one of them is too long to be looked for. */
  async rowsByKey(keys: readonly string[]): Promise<readonly TextRow[] | null> {
    const values = keys.map((key) => rowKeyValues(this.table, key))
    const known = values.filter((texts) => texts !== null)
    return known.length === values.length ? await this.rowsOf(known) : null
  }

  /** The ids that these rows hold, each once. */
  idsOf(rows: readonly TextRow[]): readonly string[] {
    return [...new Set(rows.flatMap((row) => this.#mapping.map(row).distinctId ?? []))]
  }

  /** Exactly the rows that are mapped to one of these ids, whether they count or not. */
  async rowsOfUsers(distinctIds: readonly string[]): Promise<readonly TextRow[]> {
    const wanted = new Set(distinctIds)
    const isWanted = (row: TextRow) => {
      const { distinctId } = this.#mapping.map(row)
      return distinctId !== null && wanted.has(distinctId)
    }
    if (this.#idColumn === null) return await this.#scan(isWanted)
    try {
      return (await this.#byId(this.#idColumn, distinctIds)).filter(isWanted)
    } catch (error) {
      if (errorCode(error) !== UNDEFINED_OPERATOR) throw error
      return await this.#scan(isWanted)
    }
  }

  /** The users that these rows and their children make. */
  async assemble(rows: readonly TextRow[], seen: SeenUsers): Promise<Assembly> {
    const read = rows.map((row) => ({ key: rowKey(this.table, row), mapped: this.#mapping.map(row) }))
    const keys = rows.map((row) => this.cursorAfter(row))
    const children: ReadChild[] = []
    for (const { source, spec, table, mapping } of this.#children) {
      for (const row of await matchingRows(this.#pool, table, { columns: spec.user, values: keys })) {
        children.push({ source, key: rowKey(table, row), mapped: mapping.map(row) })
      }
    }
    const sources = this.#children.map(({ source }) => source)
    return assembleUsers({ rows: read, children, sources }, seen)
  }

  /** An id that is no value of the column's type is nobody's, and must not hide the others of its batch. */
  async #byId(column: string, distinctIds: readonly string[]): Promise<readonly TextRow[]> {
    try {
      const values = distinctIds.map((id) => [id])
      return await matchingRows(this.#pool, this.table, { columns: [column], values })
    } catch (error) {
      if (!isNoValue(error)) throw error
      if (distinctIds.length <= 1) return []
      const half = Math.ceil(distinctIds.length / 2)
      const first = await this.#byId(column, distinctIds.slice(0, half))
      return [...first, ...(await this.#byId(column, distinctIds.slice(half)))]
    }
  }

  async #scan(isWanted: (row: TextRow) => boolean): Promise<readonly TextRow[]> {
    const found: TextRow[] = []
    for (let cursor: TextRow | null = null; ; ) {
      const rows = await this.page(cursor, SCAN_ROWS)
      found.push(...rows.filter(isWanted))
      const last = rows.at(-1)
      if (last === undefined || rows.length < SCAN_ROWS) return found
      cursor = this.cursorAfter(last)
    }
  }
}

/** 42883 undefined_function: the column's type has no `=` (xml, point): its rows are read one and all. */
const UNDEFINED_OPERATOR = '42883'

/** Class 22, data exception, and class 23 of a domain's constraint. */
function isNoValue(error: unknown): boolean {
  return /^2[23]/.test(errorCode(error) ?? '')
}

async function describe(pool: Pool, name: Config['source']['table'], columns: readonly string[]): Promise<Table> {
  const described = await describeTable(pool, name, columns)
  if (described.kind === 'ok') return described.table
  const names = described.missing.map(({ what, name: missing }) => `${what} ${missing}`).join(', ')
  throw new SuprsyncError('source_reshaped', `The mapping reads what the database does not have: ${names}.`, {
    details: { next: NEXT },
  })
}

function compiled<M>(result: Compiled<M>): M {
  if (result.kind === 'ok') return result.mapping
  const message = result.problems.map(({ path, message: what }) => `${path}: ${what}`).join(' ')
  throw new SuprsyncError('source_reshaped', message, { details: { next: NEXT } })
}

const NEXT = 'run `suprsync check`: it lists every problem of mapping and tables'
