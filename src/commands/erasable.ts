// Whether a user may be erased: no row of the table makes it, and none that the state has stored. Asked of both, for the stream may
// lag: a row that is there but not stored yet would bring the user back, one that is stored but gone would be taken for one that is there.
import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../config/config.ts'
import { SuprsyncError } from '../core/error.ts'
import type { Lsn } from '../core/lsn.ts'
import { connectionConfig, openPool } from '../postgres/connection.ts'
import { readInsertLsn } from '../postgres/pages.ts'
import type { StateDatabase } from '../state/database.ts'
import { readLiveKeys } from '../state/erase-store.ts'
import { readLockHolder } from '../state/report.ts'
import { PlanSource } from './plan-source.ts'

const POLL_MS = 200
/** A running service stores a deletion within tens of milliseconds, and a large transaction within seconds. */
const STREAM_MS = 30_000

/**
 * @returns the source's position: what was committed before it makes no such user, or not for long.
 * @throws SuprsyncError `user_still_live`, `user_not_captured`
 */
export async function expectErasable(db: StateDatabase, config: Config, distinctId: string): Promise<Lsn> {
  const pool = openPool(
    connectionConfig(config.source.url.reveal(), { applicationName: 'suprsync erase' }),
    () => undefined, // The next statement tells.
  )
  try {
    const source = await PlanSource.open(pool, config)
    const lsn = await readInsertLsn(pool)
    const { users } = await source.assemble(await source.rowsOfUsers([distinctId]), new Map())
    const rows = users.flatMap(({ desired, row }) => (desired === null || row === null ? [] : [row]))
    if (rows.length > 0) throw stillLive(config, rows)
    await untilStored(db, config, distinctId)
    return lsn
  } finally {
    await pool.end()
  }
}

/** The table has no such row any more: that the state has one means that its end is still to be stored. */
async function untilStored(db: StateDatabase, { state }: Config, distinctId: string): Promise<void> {
  for (const deadline = performance.now() + STREAM_MS; ; await delay(POLL_MS)) {
    if ((await readLiveKeys(db, distinctId)).length === 0) return
    const running = (await readLockHolder(db, state.schema)) !== null
    if (running && performance.now() < deadline) continue
    throw new SuprsyncError(
      'user_not_captured',
      'No row of the table makes this user any more, but the service has not stored that yet: run it again when it has.',
      {
        details: { next: running ? '`suprsync status` shows how far it is behind' : 'start `suprsync run`' },
      },
    )
  }
}

export function stillLive({ source }: Config, keys: readonly string[]): SuprsyncError {
  const { schema, name } = source.table
  const rows = keys.length === 1 ? `The row ${keys[0]}` : `The rows ${keys.join(', ')}`
  return new SuprsyncError(
    'user_still_live',
    `${rows} of ${schema}.${name} still make this user: delete them, or let user.when turn them away, or it would come back.`,
  )
}
