// What a start looks at before it decides (core/start-decision.ts): the followed tables, and whether they can still be followed;
// the server, the slot, the publication. Changes nothing.
import type { Config } from '../config/config.ts'
import { SuprsyncError } from '../core/error.ts'
import type { Finding } from '../core/finding.ts'
import type { Lsn } from '../core/lsn.ts'
import type { FoundServer, KnownCheckpoint, Unreadable } from '../core/start-decision.ts'
import type { TableFacts } from '../postgres/catalogue.ts'
import { readTableAndAccess } from '../postgres/preflight-facts.ts'
import { describePublication } from '../postgres/publication.ts'
import { type Queryable, queryRows } from '../postgres/query.ts'
import { describeSlot } from '../postgres/slot.ts'
import { identifySystem } from '../postgres/system.ts'
import { accessFindings, unbearableFindings } from '../postgres/table-findings.ts'
import { readSwitchLsn } from '../postgres/timeline.ts'
import type { StateDatabase } from '../state/database.ts'
import { hasSlotIntent } from '../state/ownership.ts'
import { sourceName, wantedTables } from './compiled-tables.ts'

/** The users table, then the child tables. */
export type FollowedFacts = readonly [TableFacts, ...TableFacts[]]

export interface ServerQuestion {
  readonly config: Config
  readonly state: StateDatabase
  /** The code with which the last stretch ended; null: there was none, or it was told to end. */
  readonly endedBy: string | null
  readonly checkpoint: KnownCheckpoint | null
}

/** @throws SuprsyncError with the code of the preflight where one of them can be followed no more. */
export async function readFacts(client: Queryable, config: Config): Promise<FollowedFacts> {
  const facts: TableFacts[] = []
  const [session] = await queryRows<{ role: string }>(client, 'select current_user::text as role')
  for (const { name, columns } of wantedTables(config)) {
    const found = await readTableAndAccess(client, { table: name, columns, publication: config.source.publication })
    if (!found) throw new SuprsyncError('table_missing', `There is no table ${sourceName(name)}.`)
    const { table, access } = found
    const [unbearable] = [
      ...unbearableFindings(table),
      ...(access === null ? [] : accessFindings(name, access, session?.role ?? '')),
    ]
    if (unbearable !== undefined) throw refused(unbearable)
    facts.push(table)
  }
  const [users, ...children] = facts
  if (users === undefined) throw new SuprsyncError('table_missing', 'The mapping names no table.')
  return [users, ...children]
}

/** It was all right at the start, and has changed since. */
function refused({ code, message, sql }: Finding): SuprsyncError {
  const mend = sql === undefined ? '' : ` ${sql}`
  return new SuprsyncError(code, `${message} Nothing is followed until that is mended.${mend}`)
}

export async function readServer(
  client: Queryable,
  [users, ...children]: FollowedFacts,
  { config, state, endedBy, checkpoint }: ServerQuestion,
): Promise<FoundServer> {
  const { source } = config
  const slot = await describeSlot(client, source.slot)
  const system = await identifySystem(client)
  const [server] = await queryRows<{ database: string; wal: string }>(
    client,
    'select current_database() as database, (pg_current_wal_flush_lsn() - $1::pg_lsn)::text as wal',
    ['0/0'],
  )
  const systemIdentifier = system.systemIdentifier.toString()
  const ours = !source.create || (await hasSlotIntent(state, source.slot, systemIdentifier))
  const published = (await describePublication(client, source.publication, users.name)) !== null
  const parted =
    checkpoint !== null && checkpoint.timeline !== system.timeline && checkpoint.systemIdentifier === systemIdentifier
  return {
    systemIdentifier,
    timeline: system.timeline,
    switchLsn: parted
      ? await readSwitchLsn(source.url.reveal(), { from: checkpoint.timeline, now: system.timeline })
      : null,
    walLsn: BigInt(server?.wal ?? '0') as Lsn,
    database: server?.database ?? '',
    tableOid: users.oid,
    published,
    unreadable: unreadable(endedBy, { published, tables: [users, ...children] }),
    slot: slot && {
      plugin: slot.plugin,
      database: slot.database,
      confirmedFlushLsn: slot.confirmedFlushLsn,
      lost: slot.walStatus === 'lost' || slot.invalidationReason !== null,
      ours,
      active: slot.active,
    },
  }
}

/** UNDEFINED_OBJECT: until PostgreSQL 18 a publication must have been there when the WAL was written. */
const NO_PUBLICATION = '42704'

/** What ended the last stretch would end the next one as well, unless it is so now: then it can be mended. */
function unreadable(
  endedBy: string | null,
  now: { readonly published: boolean; readonly tables: readonly TableFacts[] },
): Unreadable | null {
  if (endedBy === 'protocol_key_missing' && now.tables.every(tellsItsRows)) return 'keys'
  return endedBy === NO_PUBLICATION && now.published ? 'publication' : null
}

function tellsItsRows({ key, storages }: TableFacts): boolean {
  return key.length > 0 && storages.every((storage) => key.every((column) => storage.identityColumns.includes(column)))
}
