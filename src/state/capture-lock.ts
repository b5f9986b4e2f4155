// Who captures: one process at a time, by the lock of a session (locks.ts), beside the epoch that fences off its writes (ownership.ts).
// And who needs everything to be still, as `teardown` does: every lock at once.
import type pg from 'pg'
import { DirectSession } from './direct-session.ts'
import { CAPTURE_LOCK, lockName, SENDERS_LOCK } from './locks.ts'
import { CHANNEL } from './notice.ts'

export interface CaptureLockOptions {
  readonly connection: pg.ClientConfig
  readonly schema: string
  /** Another process has something for who captures (backfill-request.ts). */
  readonly onNotice?: () => void
}

/** The lock of capture, for who stands by: its session stays from one try to the next. */
export class CaptureLock implements AsyncDisposable {
  readonly #options: CaptureLockOptions
  #standby: DirectSession | null = null

  constructor(options: CaptureLockOptions) {
    this.#options = options
  }

  /** @returns the session that holds it now, which is the caller's; null when another process captures. */
  async acquire(): Promise<DirectSession | null> {
    const { connection, schema, onNotice = () => undefined } = this.#options
    this.#standby ??= await DirectSession.open({ connection, schema, applicationName: 'suprsync capture' })
    const session = this.#standby
    try {
      if (!(await tryLocks(session, schema, [CAPTURE_LOCK]))) return null
      await session.listen(CHANNEL, (payload) => {
        if (payload === schema) onNotice()
      })
      this.#standby = null
      return session
    } catch (error) {
      await this[Symbol.asyncDispose]()
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#standby?.[Symbol.asyncDispose]()
    this.#standby = null
  }
}

/** Nobody captures and nobody sends while it is held. @returns null when somebody does. */
export async function acquireEverything(connection: pg.ClientConfig, schema: string): Promise<DirectSession | null> {
  const session = await DirectSession.open({ connection, schema, applicationName: 'suprsync locks' })
  try {
    const numbers = Array.from({ length: SENDERS_LOCK + 1 }, (_, number) => number)
    if (await tryLocks(session, schema, numbers)) return session
  } catch (error) {
    await session[Symbol.asyncDispose]()
    throw error
  }
  await session[Symbol.asyncDispose]()
  return null
}

async function tryLocks(session: DirectSession, schema: string, numbers: readonly number[]): Promise<boolean> {
  const [row] = await session.query<{ owned: boolean }>(
    'select bool_and(pg_try_advisory_lock(hashtext($1), number)) as owned from unnest($2::int[]) as number',
    [lockName(schema), numbers],
  )
  return row?.owned ?? false
}
