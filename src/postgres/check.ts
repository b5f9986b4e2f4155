// The preflight of the source and of the state's database: connects, reads the facts, and returns what the pure *-findings
// files make of them. Changes nothing, waits for nothing longer than its time-outs, and never throws for what a finding
// can say. Order of the findings: from what has to be mended first.
import type pg from 'pg'
import { errorCode, errorMessage } from '../core/error.ts'
import type { Finding } from '../core/finding.ts'
import { missingTable } from './catalogue.ts'
import { openClient } from './connection.ts'
import { connectionFailure } from './connection-failure.ts'
import { quoteIdentifier } from './identifier.ts'
import {
  type ReplicationProbe,
  readPublicationAndSlot,
  readServerFacts,
  readTableAndAccess,
  readVersion,
  type SourceFacts,
  type TableQuestion,
} from './preflight-facts.ts'
import { publicationFindings } from './publication-findings.ts'
import { type Queryable, queryRows } from './query.ts'
import {
  capacityFindings,
  replicationFindings,
  serverFindings,
  slotFindings,
  versionFindings,
} from './server-findings.ts'
import { accessFindings, missingTableFinding, tableFindings, type WantedTable } from './table-findings.ts'

export interface WantedSource extends WantedTable, TableQuestion {
  /** We make the publication when it is missing. */
  readonly create: boolean
}

/** `connection`: from connectionConfig. Empty = all is well. */
export async function checkSource(connection: pg.ClientConfig, wanted: WantedSource): Promise<readonly Finding[]> {
  return withClient(connection, async (client) => {
    const tooOld = versionFindings(await readVersion(client))
    if (tooOld.length > 0) return tooOld
    const facts = await readSourceFacts(client, connection, wanted)
    return facts ? findingsFrom(facts, wanted) : []
  })
}

/** Whether the state's schema is usable or can be made there. */
export async function checkState(
  connection: pg.ClientConfig,
  options: { readonly schema: string },
): Promise<readonly Finding[]> {
  return withClient(connection, async (client) => {
    const tooOld = versionFindings(await readVersion(client))
    if (tooOld.length > 0) return tooOld
    const [row] = await queryRows<StateRow>(client, STATE, [options.schema])
    return row ? stateFindings(row, options.schema) : []
  })
}

/** All that follows from the facts. Pure. */
function findingsFrom(facts: SourceFacts, wanted: WantedSource): readonly Finding[] {
  const { server, table, access, publication, slot, replication } = facts
  const findings = [...serverFindings(server), ...replicationFindings(replication)]
  if (table) findings.push(...tableFindings(table, wanted))
  else findings.push(missingTableFinding(wanted.table, facts.nearestTable))
  if (access) findings.push(...accessFindings(wanted.table, access, server.role))
  if (table && access && (table.kind === 'table' || table.kind === 'partitioned')) {
    const published = { name: wanted.table, partitioned: table.kind === 'partitioned' }
    const publishing = { name: wanted.publication, table: published, create: wanted.create }
    findings.push(...publicationFindings(publication, publishing, { server, access }))
  }
  findings.push(...slotFindings(slot, { name: wanted.slot, database: server.database }))
  findings.push(...capacityFindings(server, slot, replication))
  return findings
}

async function readSourceFacts(
  client: Queryable,
  connection: pg.ClientConfig,
  wanted: WantedSource,
): Promise<SourceFacts | null> {
  const server = await readServerFacts(client)
  if (!server) return null
  const read = await readTableAndAccess(client, wanted)
  const { publication, slot } = await readPublicationAndSlot(client, wanted)
  const promising = server.canReplicate && server.walLevel === 'logical'
  return {
    server,
    table: read?.table ?? null,
    nearestTable: read ? null : (await missingTable(client, wanted.table)).nearest,
    access: read?.access ?? null,
    publication,
    slot,
    replication: promising ? await probeReplication(connection) : { kind: 'skipped' },
  }
}

async function probeReplication(connection: pg.ClientConfig): Promise<ReplicationProbe> {
  const replication = { ...connection, replication: 'database' }
  try {
    const client = await openClient(replication)
    try {
      await client.query('IDENTIFY_SYSTEM')
      return { kind: 'ok' }
    } finally {
      await client.end()
    }
  } catch (error) {
    return { kind: 'failed', code: errorCode(error) ?? null, message: errorMessage(error) }
  }
}

async function withClient(
  connection: pg.ClientConfig,
  work: (client: pg.Client) => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  let client: pg.Client
  try {
    client = await openClient({ ...connection, statement_timeout: 15_000, lock_timeout: 5_000 })
  } catch (error) {
    const { cause, message } = connectionFailure(error)
    return [{ code: cause === 'pooler' ? 'pooler_in_the_way' : 'server_unreachable', level: 'error', message, cause }]
  }
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

interface StateRow {
  readonly standby: boolean
  readonly role: string
  readonly canCreate: boolean
  /** Null when the schema does not exist. */
  readonly usable: boolean | null
}

const STATE = `
SELECT pg_is_in_recovery() AS standby, current_user::text AS role,
       has_database_privilege(current_database(), 'CREATE') AS "canCreate",
       (SELECT has_schema_privilege(n.oid, 'USAGE') AND has_schema_privilege(n.oid, 'CREATE')
        FROM pg_catalog.pg_namespace n WHERE n.nspname = $1) AS usable`

function stateFindings(row: StateRow, schema: string): readonly Finding[] {
  if (row.standby) {
    const message = 'The server of the state is a standby: state.url has to lead to a primary.'
    return [{ code: 'server_is_standby', level: 'error', message }]
  }
  if (row.usable ?? row.canCreate) return []
  const [name, role] = [quoteIdentifier(schema), quoteIdentifier(row.role)]
  return [
    {
      code: 'state_schema_not_creatable',
      level: 'error',
      message: `The role ${role} may not ${row.usable === null ? 'create the schema' : 'create tables in the schema'} ${name} of the state.`,
      sql:
        row.usable === null
          ? `CREATE SCHEMA ${name} AUTHORIZATION ${role};`
          : `GRANT USAGE, CREATE ON SCHEMA ${name} TO ${role};`,
    },
  ]
}
