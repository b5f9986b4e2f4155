// The unclear outcome (DESIGN §7.2 to 7.4): a request may or may not have been applied, and its row has moved on before it
// is tried again. Every combination of request, loss and what the row does next, each on a user of its own, in both
// readings of POST: no value is left behind, no user is missing or left over.
import { expect, test } from 'vitest'
import { type Emulator, type EmulatorOptions, startEmulator } from '../../src/emulator/emulator.ts'
import type { FaultAction } from '../../src/emulator/fault.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { drawn } from '../support/drawn.ts'
import { expectConverged, expectNeverBack } from '../support/oracle.ts'
import { type Service, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable } from '../support/workload.ts'

const READINGS = [
  { postReading: 'append', patchMissing: 'create' },
  { postReading: 'append', patchMissing: 'not_found' },
  { postReading: 'replace', patchMissing: 'create' },
  { postReading: 'replace', patchMissing: 'not_found' },
] as const

const METHODS = ['POST', 'PATCH', 'DELETE'] as const
type Method = (typeof METHODS)[number]

const LOSSES: readonly FaultAction[] = [
  { kind: 'apply_then_drop' },
  { kind: 'reset' },
  { kind: 'hold', apply: 'before' },
  { kind: 'hold', apply: 'after' },
  { kind: 'hold', apply: 'never' },
  { kind: 'apply_then_status', status: 500 },
]

const NEXT = [
  'nothing',
  'another value',
  'the former value',
  'no value',
  'deleted',
  'deleted and created anew',
] as const
type Next = (typeof NEXT)[number]

interface Scenario {
  readonly id: number
  readonly method: Method
  readonly loss: FaultAction
  readonly next: Next
}

const SCENARIOS: readonly Scenario[] = METHODS.flatMap((method) =>
  LOSSES.flatMap((loss) => NEXT.map((next) => ({ method, loss, next }))),
).map((scenario, index) => ({ id: index + 1, ...scenario }))

const HEALTHY = 9_999
const AT_ONCE = 4

const SETTINGS = {
  suprsend: { headers_timeout: '300ms', body_timeout: '300ms', max_in_flight: 128, max_requests_per_second: 'off' },
}

test.each(
  drawn(
    [
      ...READINGS.map((reading) => ({ ...reading, firstContact: 'upsert' })),
      // A PATCH that is answered 404, then the POST: both may be lost.
      { postReading: 'append', patchMissing: 'not_found', firstContact: 'edit' } as const,
      { postReading: 'replace', patchMissing: 'not_found', firstContact: 'edit' } as const,
    ],
    6,
  ),
)(
  'lost answers, POST $postReading, PATCH on a missing user $patchMissing, first contact $firstContact',
  async ({ firstContact, ...reading }) => {
    await using world = await createWorld(reading, SCENARIOS)
    const { database, emulator, ended } = world
    await using service = await world.start({ suprsend: { ...SETTINGS.suprsend, first_contact: firstContact } })
    await service.waitStreaming()
    await expectConverged({ database, emulator, config: service.config })
    // A few at a time, with an answer in between: more requests in a row without one would be taken for the host's silence.
    for (let from = 0; from < SCENARIOS.length; from += AT_ONCE) {
      const some = SCENARIOS.slice(from, from + AT_ONCE)
      ended.clear()
      for (const { id, method, loss } of some) emulator.addFault({ user: String(id), method, times: 1, action: loss })
      for (const scenario of some) await act(database, scenario)
      await until(() => some.every(({ id }) => ended.has(String(id))), {
        what: `the requests of ${from} on to be lost`,
      })
      for (const scenario of some) await moveOn(database, scenario)
      await database.query("UPDATE users SET version = nextval('user_version') WHERE id = $1", [HEALTHY])
      await until(() => ended.has(String(HEALTHY)), { what: 'the healthy user to be sent' })
    }
    await expectConverged({ database, emulator, config: service.config, timeoutMs: 40_000 })
    expectNeverBack(
      emulator,
      SCENARIOS.map(({ id }) => String(id)),
    )
    expect(emulator.stats().concurrencyViolations.count).toBe(0)
    expect((await service.metrics()).get('suprsync_drift_total')).toBe(0)
  },
)

test.each(drawn(READINGS, 3))(
  'kill -9 while answers are outstanding, POST $postReading, PATCH $patchMissing',
  async (reading) => {
    const held = SCENARIOS.filter(({ loss }) => loss.kind === 'hold')
    await using world = await createWorld(reading, held)
    const { database, emulator } = world
    {
      await using service = await world.start({ suprsend: { ...SETTINGS.suprsend, headers_timeout: '30s' } })
      await service.waitStreaming()
      await expectConverged({ database, emulator, config: service.config })
      for (const { id, method, loss } of held) emulator.addFault({ user: String(id), method, times: 1, action: loss })
      for (const scenario of held) await act(database, scenario)
      await until(() => emulator.held === held.length, { what: 'every request to be held' })
      await service.kill9()
    }
    for (const scenario of held) await moveOn(database, scenario)
    await using service = await world.start()
    await service.waitStreaming()
    await expectConverged({ database, emulator, config: service.config, timeoutMs: 40_000 })
    expectNeverBack(
      emulator,
      held.map(({ id }) => String(id)),
    )
  },
)

interface World extends AsyncDisposable {
  readonly database: TestDatabase
  readonly emulator: Emulator
  /** Users of whom a request has ended since it was cleared. */
  readonly ended: Set<string>
  start(config?: Parameters<typeof startService>[0]['config']): Promise<Service>
}

async function createWorld(reading: EmulatorOptions, scenarios: readonly Scenario[]): Promise<World> {
  const closing = new AsyncDisposableStack()
  const database = closing.use(await createTestDatabase())
  await createUsersTable(database)
  const ended = new Set<string>()
  const onRequest = ({ distinctId }: { readonly distinctId: string | null }) =>
    void (distinctId && ended.add(distinctId))
  const emulator = closing.use(await startEmulator({ ...reading, onRequest }))
  await insert(database, HEALTHY, 'first')
  for (const { id, method } of scenarios) if (method !== 'POST') await insert(database, id, 'first')
  return {
    database,
    emulator,
    ended,
    start: (config = SETTINGS) =>
      startService({ databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot, config }),
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

/** The change whose request is lost. */
async function act(database: TestDatabase, { id, method }: Scenario): Promise<void> {
  switch (method) {
    case 'POST':
      return await insert(database, id, 'second')
    case 'PATCH':
      return await update(database, id, 'second')
    case 'DELETE':
      return await remove(database, id)
  }
}

async function moveOn(database: TestDatabase, { id, method, next }: Scenario): Promise<void> {
  const gone = method === 'DELETE'
  switch (next) {
    case 'nothing':
      return
    case 'another value':
      return gone ? await insert(database, id, 'third') : await update(database, id, 'third')
    case 'the former value':
      return gone ? await insert(database, id, 'first') : await update(database, id, 'first')
    case 'no value':
      if (gone) await insert(database, id, 'third')
      await database.query(
        "UPDATE users SET email = NULL, phone = NULL, version = nextval('user_version') WHERE id = $1",
        [id],
      )
      return
    case 'deleted':
      return await remove(database, id)
    case 'deleted and created anew':
      await remove(database, id)
      return await insert(database, id, 'third')
  }
}

const ORDINALS = ['first', 'second', 'third'] as const
type Ordinal = (typeof ORDINALS)[number]

async function insert(database: TestDatabase, id: number, ordinal: Ordinal): Promise<void> {
  await database.query('INSERT INTO users (id, email, phone, name) VALUES ($1, $2, $3, $4)', [
    id,
    ...values(id, ordinal),
  ])
}

async function update(database: TestDatabase, id: number, ordinal: Ordinal): Promise<void> {
  await database.query(
    "UPDATE users SET email = $2, phone = $3, name = $4, version = nextval('user_version') WHERE id = $1",
    [id, ...values(id, ordinal)],
  )
}

async function remove(database: TestDatabase, id: number): Promise<void> {
  await database.query('DELETE FROM users WHERE id = $1', [id])
}

function values(id: number, ordinal: Ordinal): readonly string[] {
  const digit = 7 + ORDINALS.indexOf(ordinal)
  return [`${ordinal}.${id}@example.com`, `+9198${digit}${String(id).padStart(7, '0')}`, ordinal]
}
