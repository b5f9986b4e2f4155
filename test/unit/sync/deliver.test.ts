// The sender against ports with state: whatever fails in state or in SuprSend, every user is attempted again, and stopping ends.
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Answer } from '../../../src/core/api.ts'
import { NO_METRICS, type UnreadableKind } from '../../../src/core/metrics.ts'
import type { Profile } from '../../../src/core/profile.ts'
import { allBuckets } from '../../support/sender.ts'
import { ACCEPTED, FakeState, startDelivery } from './delivery-fakes.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

/** The pause after a failure of state is real time: node:timers/promises knows no fake clock. */
async function until(condition: () => boolean): Promise<void> {
  for (let left = 500; !condition() && left > 0; left--) {
    await delay(10)
    await pass(10)
  }
  expect(condition()).toBe(true)
}

const pending = (state: FakeState) => [...state.users].filter(([, user]) => user.dueAtMs !== null).map(([id]) => id)

test('the claim of backfill fails: the live edits claimed just before it are sent all the same', async () => {
  const state = new FakeState()
  state.add('live')
  state.add('backfilled', 1)
  let failures = 1
  state.onClaim = (when, { lane }) => {
    if (when === 'before' && lane === 1 && failures-- > 0) throw new Error('the connection was lost')
  }
  await using delivery = startDelivery(state)
  await until(() => pending(state).length === 0)
  expect(delivery.sent).toEqual(['live', 'backfilled'])
  expect(delivery.deliver.inHand).toBe(0)
})

test.each(['stop', 'destroy'] as const)('a claim that fails for ever does not keep %s from ending', async (how) => {
  const state = new FakeState()
  state.add('live')
  state.onClaim = (when, { lane }) => {
    if (when === 'before' && lane === 1) throw new Error('the connection was lost')
  }
  const delivery = startDelivery(state)
  await pass(100)
  let ended = false
  const ending = delivery[how]().then(() => {
    ended = true
  })
  await until(() => ended)
  await ending
})

test('what is claimed while we are told to stop is given back', async () => {
  const state = new FakeState()
  const asked = Promise.withResolvers<void>()
  const claim = state.claim.bind(state)
  state.claim = async (options) => {
    await asked.promise
    return await claim(options)
  }
  state.add('late')
  const delivery = startDelivery(state)
  await pass(10)
  const ending = delivery.stop()
  asked.resolve()
  await pass(2_000)
  await ending
  expect(delivery.sent).toEqual([])
  expect(state.users.get('late')).toMatchObject({ isClaimed: false, sending: [] })
})

test('a claim that was committed though its answer was lost: the users are sent, as unclear ones', async () => {
  const state = new FakeState()
  state.add('ann')
  let losses = 1
  state.onClaim = (when) => {
    if (when === 'after' && losses-- > 0) throw new Error('Connection terminated unexpectedly')
  }
  await using delivery = startDelivery(state)
  await until(() => pending(state).length === 0)
  expect(new Set(delivery.sent)).toEqual(new Set(['ann']))
  expect(state.records[0]?.claim.unclear).toHaveLength(1)
})

test('an exception while a user is sent is an unclear attempt of that user, and takes no place at the gate', async () => {
  const state = new FakeState()
  for (let n = 0; n < 20; n++) state.add(`broken${n}`)
  state.add('fine')
  const broken = new Set<string>()
  await using delivery = startDelivery(state, (id) => {
    if (id === 'fine' || broken.has(id)) return ACCEPTED
    broken.add(id)
    throw new RangeError('Maximum call stack size exceeded')
  })
  await pass(30_000)
  expect(broken.size).toBe(20)
  expect(delivery.deliver.inHand).toBe(0)
  expect(pending(state)).toEqual([])
  const first = state.records.find(({ claim }) => claim.distinctId === 'broken0')
  expect(first).toMatchObject({ failure: { code: 'not_the_api' }, unclear: [{ target: {} }] })
  expect(first?.retryInMs).toBeGreaterThanOrEqual(2_000)
})

test('so is one on the user itself', async () => {
  const state = new FakeState()
  const claim = state.claim.bind(state)
  let first = true
  state.claim = async (options) => {
    const { claims, more } = await claim(options)
    const poisoned = first ? claims.map((it) => ({ ...it, synced: POISON })) : claims
    if (claims.length > 0) first = false
    return { claims: poisoned, more }
  }
  state.add('ann')
  await using delivery = startDelivery(state)
  await pass(30_000)
  expect(state.records.map(({ failure }) => failure?.code ?? null)).toEqual(['not_the_api', null])
  expect(pending(state)).toEqual([])
  expect(delivery.deliver.inHand).toBe(0)
})

test('what is due and not claimable is asked for ever more rarely, until there is news', async () => {
  const state = new FakeState()
  state.unclaimable = true
  state.add('ann')
  await using delivery = startDelivery(state)
  await pass(20_000)
  // Two lanes each time: 50, 100, 200, 400, 800 ms and then once a second.
  expect(state.claims).toBeLessThanOrEqual(2 * 25)
  state.unclaimable = false
  delivery.deliver.wake()
  await pass(0)
  expect(delivery.sent).toEqual(['ann'])
  state.unclaimable = true
  state.add('bob')
  delivery.deliver.wake()
  const before = state.claims
  await pass(200)
  expect(state.claims - before).toBeGreaterThanOrEqual(2 * 3)
})

function refused(status: number): Answer {
  return { kind: 'answered', status, retryAfterMs: null, body: { code: status, message: 'workspace key inactive' } }
}

test.each([402, 403])(
  '%i for one user alone: one pause for the others, then that user is set aside',
  async (status) => {
    const state = new FakeState()
    state.add('poison')
    await using delivery = startDelivery(state, (id) => (id === 'poison' ? refused(status) : ACCEPTED))
    await pass(1_000)
    // Nobody else was waiting when it was refused; those who come later are due later, and yet must not wait behind it.
    for (let n = 0; n < 30; n++) state.add(`later${n}`)
    delivery.deliver.wake()
    await pass(15_000)
    expect(pending(state).filter((id) => id !== 'poison')).toEqual([])
    expect(delivery.sent.slice(0, 2)).toEqual(['poison', 'later0'])
    await pass(45_000)
    expect(pending(state)).toEqual([])
    expect(delivery.sent.filter((id) => id === 'poison')).toHaveLength(2)
    // Not always the last of all: it may be due at once after the probe.
    const last = state.records.findLast(({ claim }) => claim.distinctId === 'poison')
    expect(last).toMatchObject({ failure: { code: 'forbidden', status }, retryInMs: null })

    state.add('last')
    delivery.deliver.wake()
    await pass(100)
    expect(pending(state)).toEqual([])
  },
)

/** Asks to slow down, as everybody would be asked. */
function slower(status: number): Answer {
  return { kind: 'answered', status, retryAfterMs: 1_000, body: { code: status, message: 'slow down' } }
}

test.each([429, 503])('%i for one user alone, again and again: soon it waits for itself', async (status) => {
  const state = new FakeState()
  state.add('poison')
  await using delivery = startDelivery(state, (id) => (id === 'poison' ? slower(status) : ACCEPTED))
  let n = 0
  const feed = setInterval(() => {
    state.add(`user${n++}`)
    delivery.deliver.wake()
  }, 100)
  await pass(20_000)
  expect(delivery.gate.host.kind).toBe('open')
  let pauses = 0
  for (let at = 0; at < 600; at += 1) {
    await pass(100)
    if (delivery.gate.host.kind !== 'open') pauses += 1
  }
  clearInterval(feed)
  expect(pauses).toBe(0)
  expect(delivery.sent.filter((id) => id === 'poison').length).toBeGreaterThan(3)
  expect(pending(state).length).toBeLessThan(10)
})

test.each([429, 503])('%i for everybody: nobody is taken for the only one', async (status) => {
  const state = new FakeState()
  for (let n = 0; n < 20; n++) state.add(`user${n}`)
  let bad = true
  await using delivery = startDelivery(state, () => (bad ? slower(status) : ACCEPTED))
  await pass(60_000)
  // Those who were under way together, and then a few in a second.
  expect(delivery.sent.length).toBeLessThanOrEqual(8 + 60 * 4)
  expect(state.records.every(({ retryInMs }) => retryInMs !== null)).toBe(true)
  bad = false
  await pass(31_000)
  expect(pending(state)).toEqual([])
})

test('five users who never get an answer close the host once, and not again and again', async () => {
  const state = new FakeState()
  for (let n = 0; n < 6; n++) state.add(`silent${n}`)
  const gone: Answer = { kind: 'unclear', code: 'ECONNRESET' }
  await using delivery = startDelivery(state, (id) => (id.startsWith('silent') ? gone : ACCEPTED))
  await pass(1_000)
  state.add('first')
  await pass(40_000)
  expect(pending(state)).not.toContain('first')
  for (let n = 0; n < 20; n++) {
    await pass(7_000)
    expect(delivery.gate.host.kind).toBe('open')
  }
  expect(delivery.sent.filter((id) => id.startsWith('silent')).length).toBeGreaterThan(30)
})

test.each([401, 402, 403])(
  '%i for everybody: nobody is set aside, few requests are made, and it resumes',
  async (status) => {
    const state = new FakeState()
    let bad = true
    for (let n = 0; n < 20; n++) state.add(`user${n}`)
    await using delivery = startDelivery(state, () => (bad ? refused(status) : ACCEPTED))
    await pass(100_000)
    expect(pending(state)).toHaveLength(20)
    // Those who were under way together, and a probe every 15 s.
    expect(delivery.sent.length).toBeLessThanOrEqual(8 + 7)
    bad = false
    await pass(16_000)
    expect(state.records.some(({ retryInMs }) => retryInMs === null)).toBe(true)
    await pass(31_000)
    expect(pending(state)).toEqual([])
    expect(state.records.every(({ failure }) => failure === null)).toBe(true)
  },
)

test('401 for the only user: it resumes within 16 s of the key being good, however long that took', async () => {
  const state = new FakeState()
  let bad = true
  state.add('ann')
  await using delivery = startDelivery(state, () => (bad ? refused(401) : ACCEPTED))
  await pass(600_000)
  expect(delivery.sent.length).toBeLessThanOrEqual(41)
  bad = false
  await pass(16_000)
  expect(pending(state)).toEqual([])
})

/** A profile on which whatever reads it fails. */
const POISON: Profile = {
  get channels(): Profile['channels'] {
    throw new RangeError('Maximum call stack size exceeded')
  },
  properties: {},
}

test('a loss that may be sent no more when its turn comes is given back, and keeps nobody waiting', async () => {
  const state = new FakeState()
  // More than may be in flight at once, all before the one who may be sent.
  const losing = Array.from({ length: 12 }, (_, at) => `gone-${at}`)
  for (const id of losing) {
    state.add(id)
    state.losing.add(id)
    if (id !== 'gone-0') state.kept.add(id)
  }
  state.add('ann')
  await using delivery = startDelivery(state)
  await until(() => pending(state).length === 0)
  expect(delivery.sent).toEqual(['gone-0', 'ann'])
  expect(delivery.deliver.inHand).toBe(0)
  expect(state.users.get('gone-5')).toMatchObject({ isClaimed: false, sending: [] })
})

test.each(['finished', 'given up because SuprSend asks for an hour'])(
  'told to stop between two requests of one user: what was begun is %s',
  async (how) => {
    const state = new FakeState()
    state.add('begun')
    const kinds: string[] = []
    const first = Promise.withResolvers<void>()
    const lacking = { distinct_id: 'begun', properties: {}, $email: [] }
    state.desired = { channels: { $email: ['a@x.io'] }, properties: {} }
    await using delivery = startDelivery(state, async (_, request) => {
      kinds.push(request.kind)
      if (request.kind !== 'upsert') return ACCEPTED
      await first.promise
      return { ...ACCEPTED, body: lacking }
    })
    await until(() => kinds.length === 1)
    if (how !== 'finished') delivery.gate.tell({ kind: 'throttled', forMs: 3_600_000 })
    const ending = delivery.stop()
    first.resolve()
    await ending
    // The POST's answer lacks the address: one PATCH mends it, and the next start has nothing to send again.
    expect(kinds).toEqual(how === 'finished' ? ['upsert', 'edit'] : ['upsert'])
    expect(state.records.at(-1)).toMatchObject(
      how === 'finished' ? { unclear: [], retryInMs: null } : { unclear: [{}], retryInMs: 0 },
    )
  },
)

test('who fails while others are accepted is given up; while nobody is, it is tried again', async () => {
  const state = new FakeState()
  state.add('bad')
  let tries = 0
  const busy: Answer = { kind: 'answered', status: 409, retryAfterMs: null, body: { code: 409, message: 'busy' } }
  const reply = (id: string) => {
    if (id !== 'bad') return ACCEPTED
    tries += 1
    return busy
  }
  await using _running = startDelivery(state, reply, { giveUpAfterMs: 1 })
  await until(() => tries >= 3)
  expect(state.records.every(({ retryInMs }) => retryInMs !== null)).toBe(true)
  state.add('good')
  await until(() => state.records.some(({ claim, retryInMs }) => claim.distinctId === 'bad' && retryInMs === null))
  expect(state.records.at(-1)).toMatchObject({ failure: { code: 'busy', status: 409 }, failingSince: null })
})

test('answers that tell nothing are counted, and taken for what they are', async () => {
  const state = new FakeState()
  state.add('mute')
  state.add('refused')
  const counted: string[] = []
  const metrics = { ...NO_METRICS, unreadableAnswer: (kind: UnreadableKind) => counted.push(kind) }
  const refusal: Answer = { kind: 'answered', status: 400, retryAfterMs: null, body: null }
  await using _running = startDelivery(state, (id) => (id === 'mute' ? ACCEPTED : refusal), { metrics })
  await until(() => state.records.length === 2)
  expect(counted.sort()).toEqual(['no_message', 'no_user'])
  expect(state.records.map(({ failure }) => failure?.code ?? 'accepted').sort()).toEqual([
    'accepted',
    'invalid_request',
  ])
})

test('who cannot claim makes no progress: others must be able to see it', async () => {
  const state = new FakeState()
  state.onClaim = () => {
    throw new Error('the connection was lost')
  }
  await using delivery = startDelivery(state)
  const before = delivery.deliver.turnedAtMs
  await until(() => state.claims >= 2)
  expect(delivery.deliver.turnedAtMs).toBe(before)
  state.onClaim = () => undefined
  await until(() => delivery.deliver.turnedAtMs > before)
})

test('users of a bucket that is to leave are given back while they wait, not when their turn has come', async () => {
  const state = new FakeState()
  for (let id = 0; id < 12; id += 1) state.add(`u${id}`)
  const { promise: answer, resolve } = Promise.withResolvers<Answer>()
  const buckets = allBuckets()
  await using delivery = startDelivery(state, () => answer, { buckets })
  await until(() => delivery.deliver.inHand === 12)
  expect(delivery.sent).toHaveLength(8)
  buckets.keep([1])
  delivery.gate.turnAway()
  await until(() => delivery.deliver.inHand === 8)
  expect(delivery.deliver.quietBuckets()).not.toContain(0)
  resolve(ACCEPTED)
  await until(() => delivery.deliver.inHand === 0)
  expect(delivery.deliver.quietBuckets()).toContain(0)
  expect(delivery.sent).toHaveLength(8)
  expect(pending(state)).toHaveLength(4)
})
