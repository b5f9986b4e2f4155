// The replication slot: what the server says of it, and making and dropping it. Guarantees that no call of ours waits for
// ever on the application's transactions and that a creation that fails leaves no slot behind (PostgreSQL keeps a slot
// only once its creation has succeeded). Whether a slot may be used is decided elsewhere.
import { sleep } from '../core/abort.ts'
import { errorCode, SuprsyncError } from '../core/error.ts'
import { type Lsn, parseLsn } from '../core/lsn.ts'
import { type Queryable, queryRows } from './query.ts'

export interface Slot {
  readonly name: string
  /** Null for a physical slot. */
  readonly plugin: string | null
  readonly database: string | null
  readonly slotType: 'physical' | 'logical'
  readonly temporary: boolean
  readonly active: boolean
  readonly activePid: number | null
  readonly restartLsn: Lsn | null
  readonly confirmedFlushLsn: Lsn | null
  /** reserved | extended | unreserved | lost; null while nothing is reserved. */
  readonly walStatus: string | null
  /** Bytes that may still be written before the slot can be lost; null without a limit. */
  readonly safeWalSizeBytes: bigint | null
  /** Since PostgreSQL 17 (16 says only `conflicting`, which reads as the reason here); null = valid. */
  readonly invalidationReason: string | null
  readonly failover: boolean
}

interface SlotRow {
  readonly slot: {
    readonly slot_name: string
    readonly plugin: string | null
    readonly database: string | null
    readonly slot_type: 'physical' | 'logical'
    readonly temporary: boolean
    readonly active: boolean
    readonly active_pid: number | null
    readonly restart_lsn: string | null
    readonly confirmed_flush_lsn: string | null
    readonly wal_status: string | null
    readonly conflicting?: boolean | null
    readonly invalidation_reason?: string | null
    readonly failover?: boolean
  }
  readonly safe: string | null
}

/** Null when there is no slot of that name. */
export async function describeSlot(client: Queryable, name: string): Promise<Slot | null> {
  // As JSON, because the columns differ between 14 and 18.
  const [row] = await queryRows<SlotRow>(
    client,
    'SELECT to_jsonb(s) AS slot, s.safe_wal_size::text AS safe FROM pg_catalog.pg_replication_slots s WHERE slot_name = $1',
    [name],
  )
  if (!row) return null
  const { slot } = row
  return {
    name: slot.slot_name,
    plugin: slot.plugin,
    database: slot.database,
    slotType: slot.slot_type,
    temporary: slot.temporary,
    active: slot.active,
    activePid: slot.active_pid,
    restartLsn: slot.restart_lsn === null ? null : parseLsn(slot.restart_lsn),
    confirmedFlushLsn: slot.confirmed_flush_lsn === null ? null : parseLsn(slot.confirmed_flush_lsn),
    walStatus: slot.wal_status,
    safeWalSizeBytes: row.safe === null ? null : BigInt(row.safe),
    invalidationReason: slot.invalidation_reason ?? (slot.conflicting ? 'conflicting' : null),
    failover: slot.failover ?? false,
  }
}

export interface CreateSlotOptions {
  readonly name: string
  /** How long the application's open transactions may keep us waiting. */
  readonly timeoutMs?: number
  /** Let standbys keep a copy of the slot (PostgreSQL 17+; without effect before). Default: true. */
  readonly failover?: boolean
}

/**
 * Creates a pgoutput slot and resolves with the LSN from which it streams. The client must be a connection of its own
 * outside a transaction, not a pool: settings of the session are changed.
 * @throws SuprsyncError `slot_creation_blocked` (details: pid, transaction age) when an older transaction outlasts the
 * time-out; the server's own error (`code` is its SQLSTATE) for anything else, 42710 when the name is taken.
 */
export async function createSlot(client: Queryable, options: CreateSlotOptions): Promise<Lsn> {
  const timeoutMs = options.timeoutMs ?? 15_000
  const failover = options.failover ?? true
  const [server] = await queryRows<{ version: number }>(
    client,
    "SELECT current_setting('server_version_num')::int AS version",
  )
  // The wait is a lock on each older transaction in turn: lock_timeout bounds one wait, statement_timeout all of them.
  // Should we die while waiting, client_connection_check_interval ends it, so that no slot is made for nobody.
  await client.query(
    `SET lock_timeout = ${timeoutMs}; SET statement_timeout = ${timeoutMs}; SET client_connection_check_interval = '1s'`,
  )
  try {
    const args = (server?.version ?? 0) >= 170_000 ? [options.name, failover] : [options.name]
    const [created] = await queryRows<{ lsn: string }>(
      client,
      `SELECT lsn::text FROM pg_catalog.pg_create_logical_replication_slot($1, 'pgoutput', false, false${args.length > 1 ? ', $2' : ''})`,
      args,
    )
    if (!created) throw new SuprsyncError('slot_not_created', 'the server did not say where the slot starts')
    return parseLsn(created.lsn)
  } catch (error) {
    if (errorCode(error) !== '55P03' && errorCode(error) !== '57014') throw error
    throw await blockedBy(client, { name: options.name, timeoutMs, cause: error })
  } finally {
    // A connection that broke keeps nothing anyway; its own error is the one to report.
    await client
      .query('RESET lock_timeout; RESET statement_timeout; RESET client_connection_check_interval')
      .catch(() => undefined)
  }
}

interface BlockerRow {
  readonly pid: number | null
  readonly prepared: string | null
  readonly ageSeconds: number | null
}

// The oldest running transaction of the whole server: pg_locks shows it to everybody, its age only to pg_read_all_stats.
const BLOCKER = `
SELECT l.pid, p.gid AS prepared, extract(epoch FROM now() - coalesce(a.xact_start, p.prepared))::float8 AS "ageSeconds"
FROM pg_catalog.pg_locks l
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
LEFT JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = l.transactionid
WHERE l.locktype = 'transactionid' AND l.granted AND l.mode = 'ExclusiveLock' AND l.pid IS DISTINCT FROM pg_backend_pid()
ORDER BY age(l.transactionid) DESC
LIMIT 1`

async function blockedBy(
  client: Queryable,
  waited: { readonly name: string; readonly timeoutMs: number; readonly cause: unknown },
): Promise<SuprsyncError> {
  const [blocker] = await queryRows<BlockerRow>(client, BLOCKER)
  const ageSeconds = blocker?.ageSeconds === null || blocker === undefined ? null : Math.round(blocker.ageSeconds)
  const whose = blocker?.prepared
    ? `the prepared transaction ${blocker.prepared}`
    : blocker?.pid
      ? `the transaction of process ${blocker.pid}`
      : 'an older transaction'
  const since = ageSeconds === null ? '' : `, open for ${ageSeconds} s,`
  return new SuprsyncError(
    'slot_creation_blocked',
    `The slot ${waited.name} could not be created within ${waited.timeoutMs} ms: ${whose}${since} has to end first.`,
    {
      details: {
        blocking_pid: blocker?.pid ?? null,
        prepared_transaction: blocker?.prepared ?? null,
        transaction_age_s: ageSeconds,
      },
      cause: waited.cause,
    },
  )
}

export interface DropSlotOptions {
  readonly name: string
  /** The walsender that may be ended for it (needs its role or pg_signal_backend). A slot that another one uses is an error, 55006. */
  readonly endPid?: number
  readonly signal: AbortSignal
}

/** Resolves with false when there was none. */
export async function dropSlot(client: Queryable, options: DropSlotOptions): Promise<boolean> {
  for (;;) {
    try {
      await client.query('SELECT pg_catalog.pg_drop_replication_slot($1)', [options.name])
      return true
    } catch (error) {
      if (errorCode(error) === '42704') return false
      const active = errorCode(error) === '55006'
      if (!active || options.endPid === undefined || options.signal.aborted) throw error
      const { rows } = await client.query<{ active_pid: number | null }>(
        'SELECT active_pid FROM pg_catalog.pg_replication_slots WHERE slot_name = $1',
        [options.name],
      )
      const pid = rows[0]?.active_pid ?? null
      if (pid !== null && pid !== options.endPid) throw error
    }
    await client.query(
      'SELECT pg_catalog.pg_terminate_backend(active_pid) FROM pg_catalog.pg_replication_slots WHERE slot_name = $1 AND active_pid = $2',
      [options.name, options.endPid],
    )
    await sleep(50, options.signal)
  }
}
