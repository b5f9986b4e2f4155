// The preflight of the source and of the state's database: connects, reads the facts, and returns what the pure *-findings
// files make of them. Changes nothing, waits for nothing longer than its time-outs, and never throws for what a finding
// can say. Order of the findings: from what has to be mended first.
import type pg from 'pg'
import { errorCode, errorMessage } from '../core/error.ts'
import type { Finding } from '../core/finding.ts'
import type { Table } from '../core/row.ts'
import { missingTable, tableFrom } from './catalogue.ts'
import { openClient } from './connection.ts'
import { connectionFailure, isLostConnection } from './connection-failure.ts'
import { quoteIdentifier } from './identifier.ts'
import {
  type FoundTable,
  type ReplicationProbe,
  readServerFacts,
  readTableAndAccess,
  readVersion,
  type SourceFacts,
  type TableQuestion,
} from './preflight-facts.ts'
import { describePublication } from './publication.ts'
import { type PublicationCandidate, publicationFindings } from './publication-findings.ts'
import { type Queryable, queryRows } from './query.ts'
import {
  capacityFindings,
  replicationFindings,
  serverFindings,
  slotFindings,
  versionFindings,
} from './server-findings.ts'
import { describeSlot } from './slot.ts'
import { accessFindings, missingTableFinding, tableFindings, type WantedTable } from './table-findings.ts'

export interface WantedSource {
  /** The users table, then the child tables. */
  readonly tables: readonly WantedTable[]
  readonly publication: string
  readonly slot: string
  /** We make the publication when it is missing. */
  readonly create: boolean
  /** What else the mapping has against the tables, asked only when each is there with all its columns. */
  readonly examine?: (tables: readonly Table[]) => readonly Finding[]
}

/** `connection`: from connectionConfig. Empty = all is well. */
export async function checkSource(connection: pg.ClientConfig, wanted: WantedSource): Promise<readonly Finding[]> {
  return withClient(connection, 'source.url', async (client) => {
    const tooOld = versionFindings(await readVersion(client))
    if (tooOld.length > 0) return tooOld
    const facts = await readSourceFacts(client, connection, wanted)
    return facts ? findingsFrom(facts, wanted) : []
  })
}

/** Whether the state's schema is usable or can be made there. */
export async function checkState(
  connection: pg.ClientConfig,
  options: {
    readonly schema: string
    /** It is the source's own database. */
    readonly beside?: boolean
  },
): Promise<readonly Finding[]> {
  return withClient(connection, 'state.url', async (client) => {
    const tooOld = versionFindings(await readVersion(client))
    if (tooOld.length > 0) return tooOld
    const [row] = await queryRows<StateRow>(client, STATE, [options.schema])
    return row ? [...stateFindings(row, options.schema), ...encodingFindings(row.encoding, options)] : []
  })
}

/** All that follows from the facts. Pure. */
function findingsFrom(facts: SourceFacts, wanted: WantedSource): readonly Finding[] {
  const { server, slot, replication } = facts
  const findings = [...serverFindings(server), ...replicationFindings(replication)]
  const candidates: PublicationCandidate[] = []
  const described: Table[] = []
  for (const [at, table] of wanted.tables.entries()) {
    const found = facts.tables[at]
    if (!found?.table) {
      findings.push(missingTableFinding(table.table, found?.nearest ?? null))
      continue
    }
    const { table: its, access, publication } = found
    const ofTable = tableFindings(its, table)
    findings.push(...ofTable)
    if (access) findings.push(...accessFindings(table.table, access, server.role))
    const description = tableFrom(its, table.columns)
    if (description.kind === 'ok' && !ofTable.some(({ code }) => COLUMN_CODES.has(code))) {
      described.push(description.table)
    }
    if (access && (its.kind === 'table' || its.kind === 'partitioned')) {
      candidates.push({ name: table.table, partitioned: its.kind === 'partitioned', access, facts: publication })
    }
  }
  if (described.length === wanted.tables.length) findings.push(...(wanted.examine?.(described) ?? []))
  // Of some of its tables nothing is known: what the publication should be cannot be said yet.
  if (candidates.length === wanted.tables.length) {
    findings.push(...publicationFindings({ name: wanted.publication, create: wanted.create }, candidates, server))
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
  const tables: FoundTable[] = []
  for (const { table, columns } of wanted.tables) {
    tables.push(await readTable(client, { table, columns, publication: wanted.publication }))
  }
  const promising = server.canReplicate && server.walLevel === 'logical'
  return {
    server,
    tables,
    slot: await describeSlot(client, wanted.slot),
    replication: promising ? await probeReplication(connection) : { kind: 'skipped' },
  }
}

async function readTable(client: Queryable, question: TableQuestion): Promise<FoundTable> {
  const read = await readTableAndAccess(client, question)
  return {
    table: read?.table ?? null,
    nearest: read ? null : (await missingTable(client, question.table)).nearest,
    access: read?.access ?? null,
    publication: await describePublication(client, question.publication, question.table),
  }
}

/** With one of these the mapping cannot be compiled against the table. */
const COLUMN_CODES: ReadonlySet<string> = new Set(['column_missing', 'column_type_unsupported', 'column_generated'])

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
    if (isLostConnection(error)) throw error // says nothing of whether we may
    return { kind: 'failed', code: errorCode(error) ?? null, message: errorMessage(error) }
  }
}

async function withClient(
  connection: pg.ClientConfig,
  key: string,
  work: (client: pg.Client) => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  let client: pg.Client
  try {
    client = await openClient({ ...connection, statement_timeout: 15_000, lock_timeout: 5_000 })
  } catch (error) {
    const { cause, message } = connectionFailure(error)
    if (cause === 'pooler') return [{ code: 'pooler_in_the_way', level: 'error', message: `${key}: ${message}`, cause }]
    return [{ code: 'server_unreachable', level: 'error', message, cause }]
  }
  try {
    return await work(client)
  } catch (error) {
    // Ended by the server or the network while we looked: it may be restarting.
    if (!isLostConnection(error)) throw error
    const { cause, message } = connectionFailure(error)
    return [{ code: 'server_unreachable', level: 'error', message, cause }]
  } finally {
    await client.end()
  }
}

interface StateRow {
  readonly standby: boolean
  readonly role: string
  readonly encoding: string
  readonly canCreate: boolean
  /** Null when the schema does not exist. */
  readonly usable: boolean | null
}

const STATE = `
SELECT pg_is_in_recovery() AS standby, current_user::text AS role, current_setting('server_encoding') AS encoding,
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

/** UTF8 holds everything; SQL_ASCII takes bytes as they come. In another one a character that it lacks would stop everybody. */
function encodingFindings(encoding: string, { beside = false }: { readonly beside?: boolean }): readonly Finding[] {
  if (['UTF8', 'SQL_ASCII'].includes(encoding)) return []
  const holds = beside
    ? 'It holds what its tables hold, but not every constant and every result of an expression that the mapping file may give'
    : 'It cannot hold every value of the source'
  return [
    {
      code: 'state_encoding',
      level: beside ? 'warning' : 'error',
      message: `The database of the state has the encoding ${encoding}. ${holds}, and one that it cannot would stop everybody: let state.url lead to a database in UTF8.`,
      sql: "CREATE DATABASE suprsync ENCODING 'UTF8' TEMPLATE template0;",
    },
  ]
}
