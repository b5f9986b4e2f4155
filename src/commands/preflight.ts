// The preflight from the configuration: `check` prints it, `run` acts on it.
import type { Config } from '../config/config.ts'
import type { Finding } from '../core/finding.ts'
import { compileMapping, mappedColumns } from '../core/mapping.ts'
import type { MappingSpec } from '../core/mapping-spec.ts'
import type { Table } from '../core/row.ts'
import { isSupported } from '../core/values.ts'
import { checkSource, checkState } from '../postgres/check.ts'
import { connectionConfig } from '../postgres/connection.ts'
import { checkSuprsend } from '../suprsend/check.ts'
import { createClient } from '../suprsend/client.ts'
import { userAgent } from './package-info.ts'

export async function checkDatabases(config: Config): Promise<readonly Finding[]> {
  const { source, state, mapping } = config
  const wanted = {
    table: source.table,
    columns: mappedColumns(mapping),
    distinctId: mapping.distinctId.column,
    supports: isSupported,
    examine: (table: Table) => mappingFindings(mapping, table),
    publication: source.publication,
    slot: source.slot,
    create: source.create,
  }
  const found = await checkSource(connectionConfig(source.url.reveal()), wanted)
  const unreachable = found.some(({ code }) => code === 'server_unreachable')
  if (unreachable && state.url.reveal() === source.url.reveal()) return found
  return [...found, ...(await checkState(connectionConfig(state.url.reveal()), { schema: state.schema }))]
}

export async function checkApi(config: Config, signal: AbortSignal): Promise<readonly Finding[]> {
  await using client = createClient({ ...config.suprsend, maxInFlight: 1, userAgent: userAgent() })
  return await checkSuprsend({ client, signal })
}

function mappingFindings(mapping: MappingSpec, table: Table): readonly Finding[] {
  const compiled = compileMapping(mapping, table)
  if (compiled.kind === 'ok') return []
  return compiled.problems.map(({ code, path, message }) => ({
    code: code === 'invalid_when' ? 'when_invalid' : 'column_type_unsupported',
    level: 'error',
    message: `${path}: ${message}.`,
  }))
}
