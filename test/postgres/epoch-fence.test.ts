// DESIGN §5.5: after a take-over the former owner of capture commits nothing, whatever it had gathered; and whoever takes
// over goes on exactly where the former one's last commit ended.
import { expect, test } from 'vitest'
import type { StateCommit } from '../../src/core/capture-port.ts'
import { NO_LSN, parseLsn } from '../../src/core/lsn.ts'
import { ABSENT } from '../../src/core/source-row.ts'
import type { CaptureStore } from '../../src/state/capture-store.ts'
import type { StateDatabase } from '../../src/state/database.ts'
import { takeOver } from '../../src/state/ownership.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { makeStateAtCheckpoint } from '../support/seeded-state.ts'

const SOURCE = 'public.users'

test('a store of an older epoch throws capture_taken_over and writes nothing', async () => {
  await using world = await createState()
  const { database, state } = world
  const former = (await takeOver(state)).state
  const { state: owner, lsn } = await takeOver(state)
  await owner.commit(SOURCE, write('kept', '0/200'), () => undefined)
  const before = await everything(database)
  let reached = false

  const commit = former.commit(SOURCE, { ...write('lost', '0/300'), truncate, backfill }, () => {
    reached = true
  })
  await expect(commit).rejects.toMatchObject({ code: 'capture_taken_over' })
  await expect(former.advance(parseLsn('0/400'))).rejects.toMatchObject({ code: 'capture_taken_over' })
  expect(reached).toBe(false)
  expect(await everything(database)).toEqual(before)
  expect(lsn).toBe(parseLsn('0/100'))

  await owner.commit(SOURCE, write('kept too', '0/500'), () => undefined)
  expect((await everything(database)).rows).toEqual(['kept', 'kept too'])
})

test('taking over in the midst of commits: it starts at the last that succeeded, and none comes after it', async () => {
  await using world = await createState()
  const { database, state } = world
  for (let round = 0; round < 10; round += 1) {
    const former = (await takeOver(state)).state
    const underWay = Promise.withResolvers<void>()
    const committing = commitUntilFenced(former, round, (count) => {
      if (count === 1 + (round % 4)) underWay.resolve()
    })
    await underWay.promise
    const { lsn } = await takeOver(state)
    expect(lsn).toBe(await committing)
    expect((await everything(database)).checkpoint).toMatchObject({ lsn: `0/${lsn.toString(16).toUpperCase()}` })
  }
})

/** @returns the position of the last commit that succeeded, null when there was none. */
async function commitUntilFenced(
  store: CaptureStore,
  round: number,
  onWritten: (count: number) => void,
): Promise<bigint | null> {
  let last: bigint | null = null
  for (let count = 1; ; count += 1) {
    const lsn = parseLsn(`0/${(round * 0x1000 + 0x1000 + count).toString(16)}`)
    try {
      await store.commit(SOURCE, { ...write(`row ${round} ${count}`, '0/0'), lsn }, () => onWritten(count))
    } catch (error) {
      expect(error).toMatchObject({ code: 'capture_taken_over' })
      return last
    }
    last = lsn
  }
}

const truncate: StateCommit['truncate'] = { source: SOURCE, xid: 900n, lsn: parseLsn('0/300') }
const backfill: StateCommit['backfill'] = {
  id: '1',
  cursor: ['7'],
  rowsRead: 7,
  firstSnapshot: '10:10:',
  paged: true,
  finished: true,
}

function write(key: string, lsn: string): StateCommit {
  return {
    rows: [
      {
        source: SOURCE,
        key,
        content: { ...ABSENT, distinctId: key },
        version: { changeXid: 800n, changeLsn: NO_LSN, readSnapshot: null },
      },
    ],
    seen: null,
    profiles: [],
    marks: [],
    lane: 0,
    lsn: parseLsn(lsn),
    truncate: null,
    forget: null,
    backfill: null,
    pagesLsn: null,
  }
}

async function createState(): Promise<
  AsyncDisposable & { readonly database: TestDatabase; readonly state: StateDatabase }
> {
  await using closing = new AsyncDisposableStack()
  const database = closing.use(await createTestDatabase())
  const state = closing.use(await makeStateAtCheckpoint(database))
  const kept = closing.move()
  return { database, state, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

async function everything(database: TestDatabase) {
  const [checkpoint] = await database.query('SELECT epoch::text, lsn::text, advanced_at FROM suprsync.checkpoint')
  const rows = await database.query<{ key: string }>('SELECT key FROM suprsync.source_row ORDER BY key')
  return {
    checkpoint,
    rows: rows.map(({ key }) => key),
    tables: await database.query('SELECT * FROM suprsync.source_table'),
    backfills: await database.query('SELECT * FROM suprsync.backfill'),
  }
}
