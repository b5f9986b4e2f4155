// The preflight from the configuration: `check` prints it, `run` acts on it.
import type { Config } from '../config/config.ts'
import type { Finding } from '../core/finding.ts'
import { type ColumnUse, childUses, usersUses } from '../core/mapped-columns.ts'
import { type MappingDoubt, mappingDoubts, tableDoubts } from '../core/mapping-doubts.ts'
import type { MappingProblem, Retype } from '../core/mapping-problem.ts'
import type { Table } from '../core/row.ts'
import { isSupported } from '../core/values.ts'
import { checkSource, checkState } from '../postgres/check.ts'
import { connectionConfig } from '../postgres/connection.ts'
import { connectionFailure } from '../postgres/connection-failure.ts'
import { quoteIdentifier, quoteTable } from '../postgres/identifier.ts'
import { findPooler } from '../state/pooler.ts'
import { checkSuprsend } from '../suprsend/check.ts'
import { createClient } from '../suprsend/client.ts'
import { compileTables, wantedTables } from './compiled-tables.ts'
import { userAgent } from './package-info.ts'
import { withoutRecoverable } from './recoverable.ts'

export async function checkDatabases(config: Config): Promise<readonly Finding[]> {
  const { source, state, mapping } = config
  const wanted = {
    tables: wantedTables(config).map(({ name, columns }, at) => ({
      table: name,
      columns,
      uses: placedUses(config, at),
      distinctId: at === 0 && mapping.distinctId.kind === 'column' ? mapping.distinctId.column : null,
      supports: isSupported,
    })),
    examine: (tables: readonly Table[]) => mappingFindings(config, tables),
    publication: source.publication,
    slot: source.slot,
    create: source.create,
  }
  const found = await checkSource(connectionConfig(source.url.reveal()), wanted)
  if (found.some(isOfConnecting) && state.url.reveal() === source.url.reveal()) return found
  const findings = [...found, ...doubtFindings(config, mappingDoubts(config.mapping)), ...(await stateFindings(config))]
  return await withoutRecoverable(config, findings)
}

/** All that who only delivers needs: the source may be out of its reach. */
export async function stateFindings({ source, state }: Config): Promise<readonly Finding[]> {
  const connection = connectionConfig(state.url.reveal())
  const beside = state.url.reveal() === source.url.reveal()
  const found = await checkState(connection, { schema: state.schema, beside })
  if (found.some(isOfConnecting)) return found
  try {
    const pooler = await findPooler(connection)
    return pooler === null ? found : [pooler, ...found]
  } catch (error) {
    // Of two connections one could not be had, or was not answered.
    const { cause, message } = connectionFailure(error)
    return [{ code: 'server_unreachable', level: 'error', message, cause }, ...found]
  }
}

/** There is no connection, of which nothing else can be said. */
function isOfConnecting({ code, cause }: Finding): boolean {
  return code === 'server_unreachable' || (code === 'pooler_in_the_way' && cause !== undefined)
}

export async function checkApi(config: Config, signal: AbortSignal): Promise<readonly Finding[]> {
  await using client = createClient({ ...config.suprsend, maxInFlight: 1, userAgent: userAgent() })
  return await checkSuprsend({ client, signal })
}

function placedUses(config: Config, at: number): ReadonlyMap<string, ColumnUse> {
  const child = config.mapping.children[at - 1]
  const uses = child === undefined ? usersUses(config.mapping) : childUses(child, at - 1)
  // The last one of a key stays in a Map: the first use is what is wanted.
  return new Map(uses.toReversed().map((use) => [use.column, { ...use, path: placed(config, use.path) }]))
}

/** `users.yaml:9:12 profile.$email`; where the file has no such key, the place of what it would stand in. */
function placed({ file, places }: Config, path: string): string {
  for (let known = path; known !== ''; known = known.replace(/(?:^|\.|\[)[^.[]*$/, '')) {
    const place = places.get(known)
    if (place !== undefined) return `${file}:${place} ${path}`
  }
  return path
}

function mappingFindings(config: Config, tables: readonly Table[]): readonly Finding[] {
  const compiled = compileTables(config.mapping, tables)
  if (compiled.kind === 'ok') return doubtFindings(config, tableDoubts(config.mapping, tables))
  return compiled.problems.map(({ code, path, message, retype }) => ({
    code: FINDING_CODES[code],
    level: 'error',
    message: `${placed(config, path)}: ${message}.`,
    ...(retype !== undefined && { sql: retype.map(retypeSql).join('\n') }),
  }))
}

function doubtFindings(config: Config, doubts: readonly MappingDoubt[]): readonly Finding[] {
  return doubts.map(({ code, path, message }) => ({
    code,
    level: 'warning',
    message: `${placed(config, path)}: ${message}`,
  }))
}

function retypeSql({ table, column, type, recollate, note }: Retype): string {
  const name = quoteIdentifier(column)
  const collate = recollate ? ' COLLATE "default"' : ''
  const comment = note === null ? '' : ` -- ${note}`
  return `ALTER TABLE ${quoteTable(table)} ALTER COLUMN ${name} TYPE ${type}${collate} USING ${name}::${type};${comment}`
}

const FINDING_CODES: Readonly<Record<MappingProblem['code'], string>> = {
  invalid_when: 'when_invalid',
  invalid_value: 'value_invalid',
  child_not_unique: 'child_not_unique',
  unknown_column: 'column_missing',
  unsupported_type: 'column_type_unsupported',
  user_key_mismatch: 'user_key_mismatch',
}
