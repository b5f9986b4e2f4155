// Users of whom SuprSend refuses some values by name, against the emulator's own user store in every reading of what is
// documented nowhere: what a refused request leaves, whether a refused value can be removed, what POST does with what is there.
// Whatever was refused, the rest is held, what left the row goes, and `synced` is what SuprSend holds of ours (P1, P2, P4, P6).
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ApiRequest, Outcome } from '../../../src/core/api.ts'
import type { Json } from '../../../src/core/json.ts'
import { outcomeOf } from '../../../src/core/outcome.ts'
import { type ChannelKey, EMPTY_PROFILE, type Profile, profileHash } from '../../../src/core/profile.ts'
import { fingerprintOf, secretReference } from '../../../src/core/secret-reference.ts'
import type { Attempt } from '../../../src/core/unclear.ts'
import { comparable, type StoredUser } from '../../../src/emulator/stored-user.ts'
import { answerBody, applyRequest, type StoreRules } from '../../../src/emulator/user-store.ts'
import { attemptUser } from '../../../src/sync/attempt.ts'
import type { AttemptEnd } from '../../../src/sync/attempt-record.ts'
import type { AttemptPolicy } from '../../../src/sync/attempt-state.ts'

const POLICY: AttemptPolicy = { onDelete: 'delete', firstContact: 'upsert', exclusive: new Set() }
const RULES: StoreRules = {
  postReading: 'append',
  patchMissing: 'create',
  refusalReading: 'nothing',
  removalReading: 'any',
}

/** One user, at SuprSend and in the state. */
class World {
  readonly users = new Map<string, StoredUser>()
  sent: ApiRequest[] = []
  synced: Profile | null = null
  unclear: readonly Attempt[] = []
  /** SuprSend's answers bring no user object. */
  mute = false
  /** How many requests are answered; the one after them is applied or not, and its answer never comes. */
  cut: { answered: number; readonly applied: boolean } | null = null
  /** A GET is answered all the same. */
  readable = false
  readonly #rules: StoreRules
  readonly #policy: AttemptPolicy
  #sequence = 0

  constructor(rules: Partial<StoreRules> = {}, policy: Partial<AttemptPolicy> = {}) {
    this.#rules = { ...RULES, ...rules }
    this.#policy = { ...POLICY, ...policy }
  }

  async attempt(desired: Profile | null): Promise<Exclude<AttemptEnd, { kind: 'unsent' }>> {
    this.sent = []
    const { synced, unclear } = this
    const end = await attemptUser(
      {
        ...{
          distinctId: 'u',
          bucket: 0,
          token: `t${this.#sequence}`,
          desired,
          desiredHash: desired && profileHash(desired),
          synced,
          unclear,
        },
        ...{
          syncedHash: null,
          held: false,
          loses: false,
          erase: false,
          attempts: 0,
          failingSince: null,
          pendingSince: 0,
        },
      },
      { policy: this.#policy, secrets: SECRETS, send: async (_, request) => this.#answer(request) },
    )
    if (end.kind === 'unsent') throw new Error('the attempt was not made')
    this.synced = end.record.synced
    this.unclear = end.record.unclear
    return end
  }

  #answer(request: ApiRequest): Outcome {
    this.sent.push(request)
    if (this.readable && request.kind === 'get') return this.#apply(request)
    if (this.cut === null || this.cut.answered > 0) {
      if (this.cut !== null) this.cut.answered -= 1
      return this.#apply(request)
    }
    if (this.cut.applied) this.#apply(request)
    return outcomeOf(request, { kind: 'unclear', code: 'ECONNRESET' })
  }

  #apply(request: ApiRequest): Outcome {
    this.#sequence += 1
    const instant = { now: String(this.#sequence), sequence: this.#sequence }
    const answer = applyRequest(this.users, 'u', request, { ...this.#rules, ...instant })
    const body = this.mute && answer.message === null && request.kind !== 'get' ? null : answerBody(answer)
    return outcomeOf(request, { kind: 'answered', status: answer.status, retryAfterMs: null, body })
  }

  /** Of ours, as sorted texts. */
  held(): readonly string[] {
    const user = this.users.get('u')
    return user === undefined ? [] : facts(comparable(user))
  }
}

const TOKEN = secretReference('SLACK_BOT_TOKEN', 'xoxb-canary')
const SECRETS = new Map<string, { reveal(): string }>([[fingerprintOf(TOKEN), { reveal: () => 'xoxb-canary' }]])

function facts(
  of: { readonly channels: object; readonly properties: Profile['properties'] } | null,
): readonly string[] {
  const channels: readonly [string, unknown][] = Object.entries(of?.channels ?? {})
  const values = channels.flatMap(([key, list]) =>
    Array.isArray(list) ? list.map((each) => `${key} ${text(each)}`) : [],
  )
  return [...values, ...Object.entries(of?.properties ?? {}).map(([key, value]) => `${key}=${text(value)}`)].sort()
}

const text = (value: unknown) =>
  JSON.stringify(value).replaceAll(JSON.stringify(TOKEN), '"xoxb-canary"').replaceAll('email_id', 'email')

const emails = (...values: readonly string[]): Profile => ({ channels: { $email: values }, properties: {} })
const GOOD = 'ann@example.com'
const BAD = 'not-an-address'

const READINGS = (['append', 'replace'] as const).flatMap((postReading) =>
  (['nothing', 'stored'] as const).flatMap((refusalReading) =>
    (['any', 'valid'] as const).map((removalReading) => ({ postReading, refusalReading, removalReading })),
  ),
)

describe.each(READINGS)(
  'POST $postReading, a refused request leaves $refusalReading, removal of $removalReading',
  (reading) => {
    const stubborn = reading.refusalReading === 'stored' && reading.removalReading === 'valid'
    // A POST that replaces takes it away.
    const keeps = stubborn && reading.postReading === 'append'

    test('of many values the one that is refused is left out, and no other', async () => {
      const world = new World(reading)
      const tokens = Array.from({ length: 200 }, (_, at) => `person${at}@example.com`)
      const end = await world.attempt({ channels: { $email: [...tokens, BAD] }, properties: { name: 'Ann' } })
      expect(end.kind).toBe('accepted')
      expect(facts(world.synced)).toEqual(world.held())
      expect(world.held()).toEqual(expect.arrayContaining([...tokens.map((each) => `$email "${each}"`), 'name="Ann"']))
      // What SuprSend keeps in spite of refusing it, and refuses to let go, is what it holds.
      if (keeps) expect(end).toMatchObject({ drifted: true, record: { failure: null } })
      else {
        expect(world.held()).not.toContain(`$email "${BAD}"`)
        expect(end.record).toMatchObject({
          retryInMs: null,
          unclear: [],
          failure: { code: 'invalid_value', keys: ['$email'] },
        })
        expect(JSON.stringify(end.record.failure)).not.toContain(BAD)
      }
      expect(world.sent.length).toBeLessThanOrEqual(keeps ? 4 : 3)
    })

    test('the value it takes the place of goes all the same', async () => {
      const world = new World(reading)
      await world.attempt({
        channels: { $email: [GOOD], $sms: ['+14155550100'] },
        properties: { $timezone: 'Europe/Paris' },
      })
      const end = await world.attempt({ channels: { $email: [GOOD], $sms: ['0'] }, properties: { $timezone: 'EST' } })
      expect(end.kind).toBe('accepted')
      expect(world.held()).not.toContain('$sms "+14155550100"')
      expect(world.held()).not.toContain('$timezone="Europe/Paris"')
      expect(world.held()).toContain(`$email "${GOOD}"`)
      expect(facts(world.synced)).toEqual(world.held())
      if (!stubborn) expect(end.record.failure).toMatchObject({ keys: ['$sms', '$timezone'] })
    })

    test('a mended row is sent as if nothing had been', async () => {
      const world = new World(reading)
      await world.attempt({ channels: { $email: [GOOD, BAD] }, properties: {} })
      const end = await world.attempt(emails(GOOD, 'second@example.com'))
      if (keeps) {
        // It can be removed by nobody: the user is listed with the key, and what is held is not forgotten.
        expect(end.record.failure).toMatchObject({ keys: ['$email'] })
        expect(facts(world.synced)).toEqual(world.held())
      } else {
        expect(end).toMatchObject({ kind: 'accepted', drifted: false, record: { failure: null, unclear: [] } })
        expect(world.held()).toEqual(facts(emails(GOOD, 'second@example.com')))
      }
    })

    test('an answer without a user: SuprSend is asked once more, and the same comes of it', async () => {
      const world = new World(reading)
      world.mute = true
      const end = await world.attempt(emails(GOOD, BAD))
      expect(end.kind).toBe('accepted')
      expect(world.sent.some(({ kind }) => kind === 'get')).toBe(true)
      expect(world.held()).toContain(`$email "${GOOD}"`)
      if (reading.refusalReading === 'nothing') expect(facts(world.synced)).toEqual(world.held())
    })
  },
)

test('a credential is sent, refused and recorded as what it stands for', async () => {
  const world = new World()
  const slack = (user_id: string) => ({ user_id, access_token: TOKEN })
  const end = await world.attempt({ channels: { $slack: [slack('U1'), slack('bad-1')] }, properties: {} })
  expect(world.held()).toEqual(facts({ channels: { $slack: [slack('U1')] }, properties: {} }))
  expect(end.record).toMatchObject({ failure: { keys: ['$slack'] }, synced: { channels: { $slack: [slack('U1')] } } })
  expect(JSON.stringify(end)).not.toContain('canary')
})

test.each([
  ['SuprSend shows it', false],
  ['SuprSend shows it only when it is asked', true],
])('a credential whose text nobody knows any more is removed: %s', async (_what, mute) => {
  const world = new World()
  const slack = (access_token: Json) => ({ channels: { $slack: [{ user_id: 'U1', access_token }] }, properties: {} })
  await world.attempt(slack(TOKEN))
  const next = secretReference('SLACK_BOT_TOKEN', 'xoxb-next')
  SECRETS.delete(fingerprintOf(TOKEN))
  SECRETS.set(fingerprintOf(next), { reveal: () => 'xoxb-next' })
  world.mute = mute
  try {
    const end = await world.attempt(slack(next))
    expect(end).toMatchObject({ kind: 'accepted', record: { failure: null, unclear: [] } })
    expect(world.held()).toEqual(['$slack {"user_id":"U1","access_token":"xoxb-next"}'])
    expect(world.sent.length).toBeLessThanOrEqual(3)
  } finally {
    SECRETS.delete(fingerprintOf(next))
    SECRETS.set(fingerprintOf(TOKEN), { reveal: () => 'xoxb-canary' })
  }
})

test('a text that names no value: what is new of the key is left out, what SuprSend holds of it stays', async () => {
  const world = new World()
  await world.attempt(emails(GOOD))
  // Too short: the answer says so and does not repeat it.
  const end = await world.attempt(emails(GOOD, 'a@b.c', 'new@example.com'))
  expect(end.record.failure).toMatchObject({ keys: ['$email'] })
  expect(world.held()).toEqual(facts(emails(GOOD)))
  expect(world.synced).toEqual(emails(GOOD))
})

test('more refusals than one attempt bears: the whole user is set aside, and what was tried stays unclear', async () => {
  const world = new World()
  const end = await world.attempt(emails(GOOD, ...Array.from({ length: 12 }, (_, at) => `bad-${at}-address`)))
  expect(end).toMatchObject({ kind: 'failed', record: { synced: null, retryInMs: null, failure: { key: '$email' } } })
  expect(end.record.failure).not.toHaveProperty('keys')
  expect(end.record.unclear).toHaveLength(1)
  expect(world.sent).toHaveLength(9)
})

const VALUES: { readonly [key in ChannelKey]?: readonly string[] } = {
  $email: [GOOD, 'bo@example.com', 'cy@example.com', BAD],
  $sms: ['+14155550100', '+14155550101', '12'],
  $inbox: ['one', ' '],
}
const channels = fc.record({ $email: some('$email'), $sms: some('$sms'), $inbox: some('$inbox') }, { requiredKeys: [] })
const properties = fc.record(
  {
    $timezone: fc.constantFrom('Europe/Paris', 'EST'),
    $locale: fc.constantFrom('en', 'xx-!'),
    name: fc.constantFrom('a', 'b'),
  },
  { requiredKeys: [] },
)
const profile: fc.Arbitrary<Profile> = fc.record({ channels, properties })

function some(key: ChannelKey): fc.Arbitrary<readonly string[]> {
  return fc.subarray([...(VALUES[key] ?? [])], { minLength: 1 })
}

test('whatever is refused, of whatever life: synced is what is held, and a row without it converges', async () => {
  const setting = fc.record({
    ...{ postReading: fc.constantFrom('append' as const, 'replace' as const) },
    patchMissing: fc.constantFrom('create' as const, 'not_found' as const),
    refusalReading: fc.constantFrom('nothing' as const, 'stored' as const),
    removalReading: fc.constantFrom('any' as const, 'valid' as const),
    onDelete: fc.constantFrom('delete' as const, 'clear' as const),
    firstContact: fc.constantFrom('upsert' as const, 'edit' as const),
  })
  const last = { channels: { $email: [GOOD] }, properties: { name: 'z' } }
  await fc.assert(
    fc.asyncProperty(setting, fc.array(fc.option(profile), { maxLength: 4 }), async (given, life) => {
      const world = new World(given, given)
      for (const desired of life) {
        const end = await world.attempt(desired)
        expect(world.sent.length).toBeLessThanOrEqual(24)
        expect(end.kind).toBe('accepted')
        expect(facts(world.synced)).toEqual(world.held())
        expect(end.record.unclear).toEqual([])
        // Listed as long as something of it is not so, and no longer.
        expect(end.record.failure === null).toBe(world.held().join() === facts(desired).join())
      }
      await world.attempt(last)
      const held = world.held()
      expect(held).toEqual(expect.arrayContaining([...facts(last)]))
      if (given.refusalReading === 'nothing' || given.removalReading === 'any') expect(held).toEqual(facts(last))
      await world.attempt(last)
      if (held.join() === facts(last).join()) expect(world.sent).toEqual([])
    }),
    { numRuns: 300 },
  )
})

test('answers that are lost among refusals, whatever was applied: in the end synced is what is held, and a row without any converges', async () => {
  const setting = fc.record({
    ...{ postReading: fc.constantFrom('append' as const, 'replace' as const) },
    patchMissing: fc.constantFrom('create' as const, 'not_found' as const),
    refusalReading: fc.constantFrom('nothing' as const, 'stored' as const),
    removalReading: fc.constantFrom('any' as const, 'valid' as const),
    onDelete: fc.constantFrom('delete' as const, 'clear' as const, 'keep' as const),
    firstContact: fc.constantFrom('upsert' as const, 'edit' as const),
    exclusive: fc.constantFrom(new Set<ChannelKey>(), new Set<ChannelKey>(['$email'])),
  })
  const step = fc.record({
    desired: fc.option(profile),
    cut: fc.option(fc.record({ answered: fc.constantFrom(0, 0, 1, 2, 3, 5), applied: fc.boolean() })),
    mute: fc.boolean(),
    vanish: fc.constantFrom(false, false, false, true),
  })
  const last = { channels: { $email: [GOOD] }, properties: { name: 'z' } }
  await fc.assert(
    fc.asyncProperty(setting, fc.array(step, { maxLength: 6 }), async (given, life) => {
      const world = new World(given, given)
      for (const { desired, cut, mute, vanish } of life) {
        if (vanish) world.users.delete('u')
        world.cut = cut && { ...cut }
        world.mute = mute
        await world.attempt(desired)
        expect(world.sent.length).toBeLessThanOrEqual(24)
        expect(world.unclear.length).toBeLessThanOrEqual(8)
      }
      world.cut = null
      world.mute = false
      await world.attempt(last)
      expect(world.unclear).toEqual([])
      const held = world.held()
      expect(held).toEqual(expect.arrayContaining([...facts(last)]))
      expect(facts(world.synced)).toEqual(held)
      if (given.refusalReading === 'nothing' || given.removalReading === 'any') expect(held).toEqual(facts(last))
    }),
    { numRuns: 500 },
  )
})

test.each([
  ['append', true],
  ['replace', true],
  ['append', false],
] as const)(
  'edits for weeks of which no answer comes (POST %s, applied: %s): what is unclear does not grow for ever',
  async (postReading, applied) => {
    const world = new World({ postReading })
    const mails = (n: number) => Array.from({ length: 50 }, (_, at) => `a${n}-${at}@x.io`)
    const row = (n: number): Profile => ({ channels: { $email: mails(n) }, properties: { [`p${n}`]: n } })
    await world.attempt(row(0))
    const size = () => JSON.stringify(world.unclear).length
    let most = 0
    for (let n = 1; n < 80; n += 1) {
      // A GET is answered, when one is made.
      world.cut = { answered: 0, applied: applied && n % 5 === 0 }
      world.readable = true
      await world.attempt(row(n))
      most = Math.max(most, size())
    }
    expect(most).toBeLessThan(60_000)
    // Nothing is answered: then nothing is written either.
    world.readable = false
    for (let n = 80; n < 120; n += 1) await world.attempt(row(n))
    expect(size()).toBeLessThan(60_000)
    world.cut = null
    await world.attempt(row(7))
    expect(world.held()).toEqual(facts(row(7)))
    expect([world.synced, world.unclear]).toEqual([row(7), []])
  },
)

test('nothing is refused of an empty profile', async () => {
  const world = new World()
  expect(await world.attempt(EMPTY_PROFILE)).toMatchObject({ kind: 'accepted', record: { failure: null } })
})
