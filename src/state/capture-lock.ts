// Who captures: one process at a time, by the lock of a session (locks.ts), beside the epoch that fences off its writes (ownership.ts).
// And who needs everything to be still, as `teardown` does: every lock at once.
import type pg from 'pg'
import { DirectSession } from './direct-session.ts'
import { CAPTURE_LOCK, lockName, SENDERS_LOCK } from './locks.ts'
import { CHANNEL } from './notice.ts'

/**
 * @param onNotice another process has something for who captures (backfill-request.ts).
 * @returns null when another process captures.
 */
export async function acquireCapture(
  connection: pg.ClientConfig,
  schema: string,
  onNotice: () => void = () => undefined,
): Promise<DirectSession | null> {
  return await acquire({ connection, schema, applicationName: 'suprsync capture' }, [CAPTURE_LOCK], async (session) => {
    await session.listen(CHANNEL, (payload) => {
      if (payload === schema) onNotice()
    })
  })
}

/** Nobody captures and nobody sends while it is held. @returns null when somebody does. */
export async function acquireEverything(connection: pg.ClientConfig, schema: string): Promise<DirectSession | null> {
  const numbers = Array.from({ length: SENDERS_LOCK + 1 }, (_, number) => number)
  return await acquire({ connection, schema, applicationName: 'suprsync locks' }, numbers)
}

async function acquire(
  options: Parameters<typeof DirectSession.open>[0],
  numbers: readonly number[],
  owned: (session: DirectSession) => Promise<void> = () => Promise.resolve(),
): Promise<DirectSession | null> {
  const session = await DirectSession.open(options)
  try {
    const [row] = await session.query<{ owned: boolean }>(
      'select bool_and(pg_try_advisory_lock(hashtext($1), number)) as owned from unnest($2::int[]) as number',
      [lockName(options.schema), numbers],
    )
    if (row?.owned) {
      await owned(session)
      return session
    }
  } catch (error) {
    await session[Symbol.asyncDispose]()
    throw error
  }
  await session[Symbol.asyncDispose]()
  return null
}
