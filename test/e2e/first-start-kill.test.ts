// A first start that is killed at any step (publication, slot, before the checkpoint, in the backfill), and killed there
// again, resumes unaided; what was done is not done a second time.
import { expect, test } from 'vitest'
import type { FailPoint } from '../../src/core/fail-points.ts'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { drawn } from '../support/drawn.ts'
import { expectConverged, expectNeverBack } from '../support/oracle.ts'
import { type LogLine, type Service, startService } from '../support/service.ts'
import { createUsersTable, insertUsers, startWorkload } from '../support/workload.ts'

const USERS = 3_200

interface World extends AsyncDisposable {
  readonly database: TestDatabase
  readonly emulator: Emulator
  start(): Promise<Service>
  killTwiceAt(failPoint: `${FailPoint}:${number}`, after: () => Promise<void>): Promise<void>
}

const STEPS = [
  { failPoint: 'after_publication:1', slot: 'created' },
  { failPoint: 'after_slot:1', slot: 'adopted' },
  { failPoint: 'before_first_checkpoint:1', slot: 'adopted' },
] as const

test.each(drawn(STEPS, 2))('killed $failPoint under load: goes on where it was', async ({ failPoint, slot }) => {
  await using world = await createWorld()
  const { database, emulator } = world
  await using load = startWorkload({ database, seed: 7, users: USERS })
  await world.killTwiceAt(failPoint, async () => {
    expect(await database.query('SELECT FROM suprsync.checkpoint')).toEqual([])
    expect(await database.query('SELECT FROM pg_publication')).toHaveLength(1)
    expect(await slots(database)).toBe(slot === 'created' ? 0 : 1)
  })

  await using last = await world.start()
  await last.waitFor('the backfill to finish', ({ msg }) => msg === 'backfill finished')
  await load.stop()
  await expectConverged({ database, emulator, config: last.config })
  expectNeverBack(emulator, load.ids)
  expect(await slots(database)).toBe(1)
  expect(last.log().filter(isAboutSlot)).toEqual([expect.objectContaining({ msg: expect.stringContaining(slot) })])
})

// Pages grow from 50 rows; each start reads three before it is killed: 50, 200 and 800.
test.each(drawn(['in_state_transaction:4', 'in_backfill:3'] as const, 2))(
  'killed %s while it pages: the pages that were stored are not read again',
  async (failPoint) => {
    await using world = await createWorld()
    const { database, emulator } = world
    const runs: { readonly rowsRead: number; readonly cursor: unknown }[] = []
    await world.killTwiceAt(failPoint, async () => {
      runs.push(
        ...(await database.query<{ rowsRead: number; cursor: unknown }>(
          'SELECT rows_read::int AS "rowsRead", cursor FROM suprsync.backfill',
        )),
      )
    })
    const [first = 0, second = 0] = runs.map(({ rowsRead }) => rowsRead)
    expect(first).toBeGreaterThan(0)
    expect(second).toBe(2 * first)
    expect(second).toBeLessThan(USERS)
    expect(runs.map(({ cursor }) => cursor)).toEqual([[String(first)], [String(second)]])

    // Behind and before the cursor: what was read already changes, and what is still to be read.
    await using load = startWorkload({ database, seed: 8, users: USERS })
    await using last = await world.start()
    await last.waitFor('the backfill to finish', ({ msg }) => msg === 'backfill finished')
    await load.stop()
    await expectConverged({ database, emulator, config: last.config })
    expectNeverBack(emulator, load.ids)
    const read = (await last.metrics()).get('suprsync_backfill_rows_total')
    expect(read).toBeLessThanOrEqual(USERS - second)
  },
)

async function createWorld(): Promise<World> {
  const closing = new AsyncDisposableStack()
  const database = closing.use(await createTestDatabase())
  await createUsersTable(database)
  await insertUsers(database, USERS)
  const emulator = closing.use(await startEmulator())
  const service = { databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot }
  return {
    database,
    emulator,
    start: () => startService(service),
    async killTwiceAt(failPoint, after) {
      for (let time = 0; time < 2; time += 1) {
        await using doomed = await startService({ ...service, failPoint })
        expect(await doomed.exited).toEqual({ code: null, signal: 'SIGKILL' })
        await after()
      }
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

async function slots(database: TestDatabase): Promise<number> {
  const rows = await database.query('SELECT FROM pg_replication_slots WHERE database = current_database()')
  return rows.length
}

function isAboutSlot({ msg, slot }: LogLine): boolean {
  return slot !== undefined && /^(created|adopted) the replication slot/.test(msg)
}
