// The followed tables as the database has them now, each compiled with its part of the mapping. `run` and `check` both
// stand on it.
import type { Config } from '../config/config.ts'
import { SuprsyncError } from '../core/error.ts'
import { digest } from '../core/json.ts'
import { childColumns, mappedColumns } from '../core/mapped-columns.ts'
import { compileChildMapping, compileMapping } from '../core/mapping.ts'
import type { MappingProblem } from '../core/mapping-problem.ts'
import type { MappingSpec } from '../core/mapping-spec.ts'
import type { Table } from '../core/row.ts'
import { describeTable } from '../postgres/catalogue.ts'
import type { openPool } from '../postgres/connection.ts'
import type { TableName } from '../postgres/identifier.ts'
import { PageReader } from '../postgres/pages.ts'
import type { CompiledSource, MappedTable } from '../sync/row-mapper.ts'

/** Raised when a release maps the same file otherwise: then every row is mapped anew. */
const MAPPING_REVISION = 4

/** Raised when a release tells otherwise whose a row is: then everybody waits until all is read. */
const OWNER_REVISION = 1

export interface WantedColumns {
  readonly name: TableName
  readonly columns: readonly string[]
}

/** The users table, then the child tables in the order of the file. */
export function wantedTables({ source, mapping }: Config): readonly [WantedColumns, ...WantedColumns[]] {
  return [
    { name: source.table, columns: mappedColumns(mapping) },
    ...mapping.children.map((child) => ({ name: child.table, columns: childColumns(child) })),
  ]
}

export function sourceName({ schema, name }: TableName): string {
  return `${schema}.${name}`
}

/** @throws SuprsyncError `source_reshaped` when mapping and tables do not fit. */
export async function openTables(pool: ReturnType<typeof openPool>, config: Config): Promise<CompiledSource> {
  const described = await Promise.all(
    wantedTables(config).map(({ name, columns }) => describeTable(pool, name, columns)),
  )
  const missing = described.flatMap((table) => (table.kind === 'missing' ? table.missing : []))
  if (missing.length > 0) {
    const names = missing.map(({ what, name }) => `${what} ${name}`).join(', ')
    throw new SuprsyncError(
      'source_reshaped',
      `The mapping reads what the database no longer has: ${names}. Mend the mapping or the table; nothing is lost meanwhile.`,
    )
  }
  const tables = described.flatMap((it) => (it.kind === 'ok' ? [it.table] : []))
  const compiled = compileTables(config.mapping, tables)
  if (compiled.kind === 'invalid') {
    const messages = compiled.problems.map(({ path, message }) => `${path}: ${message}`)
    throw new SuprsyncError('source_reshaped', messages.join(' '))
  }
  const hashes = mappingHashes(config.mapping)
  const mapped = tables.map(
    (table, at): MappedTable => ({
      name: sourceName(table),
      table,
      pages: new PageReader(pool, table),
      map: compiled.maps[at] ?? unreachable(),
      ...(hashes[at] ?? unreachable()),
    }),
  )
  const [users, ...children] = mapped
  return { tables: [users ?? unreachable(), ...children], idIsKey: compiled.idIsKey }
}

type CompiledTables =
  | { readonly kind: 'ok'; readonly idIsKey: boolean; readonly maps: readonly MappedTable['map'][] }
  | { readonly kind: 'invalid'; readonly problems: readonly MappingProblem[] }

/** @param tables as wantedTables names them. Every problem of every table at once. */
export function compileTables(spec: MappingSpec, [users, ...children]: readonly Table[]): CompiledTables {
  if (users === undefined) return unreachable()
  const main = compileMapping(spec, users)
  const problems = main.kind === 'invalid' ? [...main.problems] : []
  const maps: MappedTable['map'][] = main.kind === 'ok' ? [main.mapping.map] : []
  for (const [at, child] of spec.children.entries()) {
    const table = children[at] ?? unreachable()
    const compiled = compileChildMapping(child, table, { users, at })
    if (compiled.kind === 'invalid') problems.push(...compiled.problems)
    else maps.push(compiled.mapping.map)
  }
  if (problems.length > 0 || main.kind === 'invalid') return { kind: 'invalid', problems }
  return { kind: 'ok', idIsKey: main.mapping.idIsKey, maps }
}

/** For each table, of all that decides what its rows give; what happens to a deleted user is no part of it. */
function mappingHashes({
  children,
  onDelete: _,
  ...users
}: MappingSpec): readonly Pick<MappedTable, 'mappingHash' | 'ownerHash'>[] {
  const owners = [users.distinctId, ...children.map(({ user }) => user)]
  return [users, ...children].map((part, at) => ({
    mappingHash: hashOf([MAPPING_REVISION, part]),
    ownerHash: hashOf([OWNER_REVISION, owners[at]]),
  }))
}

function hashOf(part: unknown): string {
  return digest(JSON.stringify(part, withMaps))
}

/** Maps as lists of pairs: JSON would make `{}` of them. */
function withMaps(_key: string, value: unknown): unknown {
  return value instanceof Map ? [...value] : value
}

function unreachable(): never {
  throw new TypeError('the tables and their mappings are not of one length')
}
