// The planner against the emulator's own user store: whatever was applied of what was tried, in whichever reading of POST
// and PATCH, carrying out the plan leaves of ours exactly what is desired.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { identity } from '../../../src/core/channel-value.ts'
import { repairPlan } from '../../../src/core/compare.ts'
import { canonical, isJsonObject, type Json } from '../../../src/core/json.ts'
import { type PlanInput, planUser, type Step } from '../../../src/core/plan.ts'
import { EMPTY_PROFILE, isChannelKey, type Profile } from '../../../src/core/profile.ts'
import { parseRemoteUser } from '../../../src/core/remote-user.ts'
import { compactAttempts } from '../../../src/core/unclear.ts'
import { comparable, type StoredUser } from '../../../src/emulator/stored-user.ts'
import { answerBody, applyRequest, type StoreRules } from '../../../src/emulator/user-store.ts'

const profile = (channels: Profile['channels'], properties: Profile['properties'] = {}): Profile => ({
  channels,
  properties,
})
const BASE: Omit<PlanInput, 'desired'> = { synced: null, unclear: [], onDelete: 'delete', firstContact: 'upsert' }

function requests(input: Partial<PlanInput> & Pick<PlanInput, 'desired'>): readonly Step['request'][] {
  const plan = planUser({ ...BASE, ...input })
  return plan.kind === 'send' ? plan.steps.map((step) => step.request) : []
}

describe('what is sent', () => {
  const slack = { email_id: 'user@example.com', access_token: 'xoxb-1' }
  const teams = { user_id: 'u', tenant_id: 't', service_url: 'https://smba.trafficmanager.net/amer' }

  test('a user never accepted is posted whole, in the body shape of the API page', () => {
    const desired = profile(
      { $sms: ['+1234567890'], $email: ['user@example.com'], $slack: [slack], $ms_teams: [teams] },
      { plan: 'pro', $timezone: 'Europe/Paris' },
    )
    expect(requests({ desired })).toEqual([
      {
        kind: 'upsert',
        body: {
          $email: ['user@example.com'],
          $sms: ['+1234567890'],
          $slack: [{ email: 'user@example.com', access_token: 'xoxb-1' }],
          $ms_teams: [teams],
          $timezone: 'Europe/Paris',
          plan: 'pro',
        },
      },
    ])
  })

  test('what hundreds of lost attempts may have left is removed in requests that fit, in order, and then what is desired is added', () => {
    const tokens = (n: number) => Array.from({ length: 50 }, (_, index) => `${n}-${index}-${'t'.repeat(150)}`)
    let attempts: ReturnType<typeof compactAttempts> = []
    for (let n = 0; n < 100; n += 1) {
      attempts = compactAttempts([...attempts, { token: `t${n}`, target: profile({ $androidpush: tokens(n) }) }])
    }
    const unclear = attempts.map(({ target }) => target)
    const desired = profile({ $email: ['a@x.io'] }, { name: 'A' })
    const sent = requests({ desired, synced: EMPTY_PROFILE, unclear })
    expect(sent.length).toBeGreaterThan(1)
    for (const request of sent) expect(JSON.stringify(request).length).toBeLessThan(800_000)
    const operations = sent.flatMap((request) => (request.kind === 'edit' ? request.operations : []))
    expect(operations).toHaveLength(100 * 50 + 2)
    expect(operations.slice(-2)).toEqual([{ $append: { $email: 'a@x.io' } }, { $set: { name: 'A' } }])
  })

  test('a bare user is posted as an empty object', () => {
    expect(requests({ desired: EMPTY_PROFILE })).toEqual([{ kind: 'upsert', body: {} }])
  })

  test('a change is one patch of what changed, removals first, one value an operation', () => {
    const synced = profile({ $email: ['a@x.io', 'b@x.io'], $sms: ['+1'] }, { name: 'A', city: 'X', tier: 1 })
    const desired = profile({ $email: ['b@x.io', 'c@x.io', 'd@x.io'] }, { name: 'B', tier: 1, tags: ['t'] })
    expect(requests({ synced, desired })).toEqual([
      {
        kind: 'edit',
        operations: [
          { $remove: { $email: 'a@x.io' } },
          { $remove: { $sms: '+1' } },
          { $unset: ['city'] },
          { $append: { $email: 'c@x.io' } },
          { $append: { $email: 'd@x.io' } },
          { $set: { name: 'B', tags: ['t'] } },
        ],
      },
    ])
  })

  test('removing one spelling of an address puts the other spelling back after it', () => {
    const synced = profile({ $email: ['Bob@x.io', 'bob@x.io'] })
    expect(requests({ synced, desired: profile({ $email: ['bob@x.io'] }) })).toEqual([
      { kind: 'edit', operations: [{ $remove: { $email: 'Bob@x.io' } }, { $append: { $email: 'bob@x.io' } }] },
    ])
  })

  test('also where the removal follows a post', () => {
    const unclear = [profile({ $email: ['Bob@x.io'] })]
    expect(requests({ unclear, desired: profile({ $email: ['bob@x.io'] }) })[1]).toEqual({
      kind: 'edit',
      operations: [{ $remove: { $email: 'Bob@x.io' } }, { $append: { $email: 'bob@x.io' } }],
    })
  })

  test('push tokens go with their provider as a sibling, and what POST cannot say follows it as a patch', () => {
    const desired = profile({ $androidpush: ['t1', { value: 't2', $id_provider: 'xiaomi' }] })
    const append = { $append: { $androidpush: 't2', $id_provider: 'xiaomi' } }
    expect(requests({ desired })).toEqual([
      { kind: 'upsert', body: { $androidpush: ['t1'] } },
      { kind: 'edit', operations: [append] },
    ])
    expect(requests({ synced: profile({ $androidpush: [{ value: 't2', $id_provider: 'fcm' }] }), desired })).toEqual([
      {
        kind: 'edit',
        operations: [
          { $remove: { $androidpush: 't2', $id_provider: 'fcm' } },
          { $append: { $androidpush: 't1', $id_provider: 'fcm' } },
          append,
        ],
      },
    ])
  })

  test('nothing is sent when SuprSend would be told the same: order, spelling of Slack, fields it drops', () => {
    const synced = profile(
      { $email: ['a@x.io', 'b@x.io'], $slack: [slack], $androidpush: ['t'] },
      { a: { x: 1, y: 2 } },
    )
    const desired = profile(
      {
        $email: ['b@x.io', 'a@x.io'],
        $slack: [{ access_token: 'xoxb-1', email: 'user@example.com', team_id: 'T' }],
        $androidpush: [{ value: 't', $id_provider: 'fcm' }],
      },
      { a: { y: 2, x: 1 } },
    )
    expect(planUser({ ...BASE, synced, desired })).toEqual({ kind: 'settled', synced: desired })
  })

  test('of a bare user of whom nothing is to be said the answer is looked at, where an outcome is open', () => {
    expect(requests({ synced: EMPTY_PROFILE, unclear: [EMPTY_PROFILE], desired: EMPTY_PROFILE })).toEqual([
      { kind: 'get' },
    ])
  })

  test('after an unclear edit everything is said again, and what may have been left is removed', () => {
    const synced = profile({ $email: ['a@x.io'] }, { name: 'A' })
    const unclear = [profile({ $email: ['b@x.io'] }, { name: 'B', city: 'X' })]
    expect(requests({ synced, unclear, desired: synced })).toEqual([
      {
        kind: 'edit',
        operations: [
          { $remove: { $email: 'b@x.io' } },
          { $unset: ['city'] },
          { $append: { $email: 'a@x.io' } },
          { $set: { name: 'A' } },
        ],
      },
    ])
  })

  test('where the user may not exist the post comes first and the removing patch second', () => {
    const desired = profile({ $email: ['c@x.io'] })
    const remove = (value: string) => ({ $remove: { $email: value } })
    expect(requests({ unclear: [profile({ $email: ['a@x.io'] })], desired })).toEqual([
      { kind: 'upsert', body: { $email: ['c@x.io'] } },
      { kind: 'edit', operations: [remove('a@x.io')] },
    ])
    expect(requests({ synced: profile({ $email: ['b@x.io'] }), unclear: [null], desired })).toEqual([
      { kind: 'upsert', body: { $email: ['c@x.io'] } },
      { kind: 'edit', operations: [remove('b@x.io')] },
    ])
  })

  test('first contact by edit: the patch goes first, the post only on a 404', () => {
    const desired = profile({ $email: ['a@x.io'] }, { name: 'A' })
    const plan = planUser({ ...BASE, desired, firstContact: 'edit' })
    const post = {
      request: { kind: 'upsert', body: { $email: ['a@x.io'], name: 'A' } },
      onMissing: { kind: 'vanished' },
    }
    expect(plan).toEqual({
      kind: 'send',
      syncedAfter: desired,
      steps: [
        {
          request: { kind: 'edit', operations: [{ $append: { $email: 'a@x.io' } }, { $set: { name: 'A' } }] },
          onMissing: { kind: 'instead', steps: [post] },
        },
      ],
    })
    expect(requests({ desired: EMPTY_PROFILE, firstContact: 'edit' })).toEqual([{ kind: 'get' }])
  })

  test('a user who must not exist: delete, clear and keep', () => {
    const synced = profile({ $email: ['a@x.io'] }, { name: 'A' })
    const done = { kind: 'done' }
    expect(planUser({ ...BASE, synced, desired: null })).toEqual({
      kind: 'send',
      steps: [{ request: { kind: 'delete' }, onMissing: done }],
      syncedAfter: null,
    })
    const operations = [{ $remove: { $email: 'a@x.io' } }, { $unset: ['name'] }]
    expect(planUser({ ...BASE, synced, desired: null, onDelete: 'clear' })).toEqual({
      kind: 'send',
      steps: [{ request: { kind: 'edit', operations }, onMissing: done }],
      syncedAfter: null,
    })
    expect(planUser({ ...BASE, synced, desired: null, onDelete: 'keep' })).toEqual({ kind: 'settled', synced })
    for (const onDelete of ['delete', 'clear', 'keep'] as const) {
      expect(planUser({ ...BASE, desired: null, onDelete })).toEqual({ kind: 'settled', synced: null })
    }
  })
})

// ---- The property: a user's life with attempts that end in every possible way.

const pick = <T>(values: readonly T[]) => fc.subarray([...values])
const list = <T>(values: readonly T[]) => pick(values).filter((chosen) => chosen.length > 0)

const ours: fc.Arbitrary<Profile> = fc.record({
  channels: fc.record(
    {
      $email: list(['ann@x.example', 'Ann@x.example', 'bob@x.example']),
      $sms: list(['+14155550101', '+14155550102']),
      $androidpush: list([
        'tok-1',
        { value: 'tok-1', $id_provider: 'xiaomi' },
        { value: 'tok-2', $id_provider: 'fcm' },
      ]),
      $slack: list([
        { email_id: 'ann@x.example', access_token: 'xoxb-1' },
        { email: 'ann@x.example', access_token: 'xoxb-2' },
        { user_id: 'U1', access_token: 'xoxb-1', team_id: 'T1' },
      ]),
    },
    { requiredKeys: [] },
  ),
  properties: fc.record(
    {
      name: fc.constantFrom('A', 'B'),
      tags: fc.constantFrom<Json>(['x'], ['x', 'y'], { x: 1 }),
      constructor: fc.constantFrom(1, 2),
      $timezone: fc.constantFrom('Europe/Paris', 'Asia/Tokyo'),
      $locale: fc.constantFrom('en-GB', 'fr'),
    },
    { requiredKeys: [], noNullPrototype: true },
  ),
})
const OTHERS = profile({ $email: ['other@x.example'], $whatsapp: ['+14155550199'] }, { theirs: 1 })

interface Attempt {
  readonly desired: Profile | null
  /** How many steps are answered; the one after them is applied or not, and its answer never comes. */
  readonly answered: number
  readonly applied: boolean
  /** Somebody deletes the user in SuprSend before the attempt. */
  readonly vanish: boolean
}

const attempt: fc.Arbitrary<Attempt> = fc.record({
  desired: fc.option(ours, { freq: 4 }),
  answered: fc.constantFrom(0, 0, 1, 9),
  applied: fc.boolean(),
  vanish: fc.constantFrom(false, false, false, true),
})

class World {
  readonly users = new Map<string, StoredUser>()
  synced: Profile | null = null
  unclear: (Profile | null)[] = []
  posts = 0
  deletes = 0
  /** Somebody changed the user and nothing was sent since: a difference that only a reconcile can find. */
  unseen = false
  readonly #rules: StoreRules
  readonly #policy: Pick<PlanInput, 'onDelete' | 'firstContact'>
  #sequence = 0

  constructor(rules: StoreRules, policy: Pick<PlanInput, 'onDelete' | 'firstContact'>) {
    this.#rules = rules
    this.#policy = policy
  }

  get user(): StoredUser | null {
    return this.users.get('u') ?? null
  }

  plan(desired: Profile | null) {
    return planUser({ desired, synced: this.synced, unclear: this.unclear, ...this.#policy })
  }

  apply(request: Step['request']) {
    if (request.kind === 'upsert') this.posts++
    if (request.kind === 'delete') this.deletes++
    this.#sequence++
    return applyRequest(this.users, 'u', request, {
      ...this.#rules,
      now: String(this.#sequence),
      sequence: this.#sequence,
    })
  }

  /** Sends what the plan says as delivery does, up to the step whose answer is lost. Returns how many plans it took. */
  carryOut(desired: Profile | null, answered: number, applied: boolean): number {
    let left = answered
    for (let plans = 1; plans <= 3; plans++) {
      const plan = this.plan(desired)
      if (plan.kind === 'settled') {
        this.#record(plan.synced)
        return plans
      }
      this.unseen = false
      const owned = [this.synced, ...this.unclear, plan.syncedAfter]
      this.unclear.push(desired)
      let steps = plan.steps
      let end: 'accepted' | 'vanished' | 'done' = 'accepted'
      let last: Json = null
      for (let step = steps[0]; step !== undefined; step = steps[0]) {
        steps = steps.slice(1)
        if (left-- <= 0) {
          if (applied) this.apply(step.request)
          return plans
        }
        const answer = this.apply(step.request)
        expect(answer.status, answer.message ?? '').not.toBe(400)
        if (answer.status !== 404) {
          last = answerBody(answer)
          continue
        }
        if (step.onMissing.kind === 'instead') steps = step.onMissing.steps
        else {
          end = step.onMissing.kind
          steps = []
        }
      }
      if (end === 'vanished') {
        this.#record(null)
        continue
      }
      const remote = parseRemoteUser(last)
      if (end === 'accepted' && remote !== null) {
        const operations = repairPlan(remote, plan.syncedAfter, { owned, exclusive: new Set() })
        if (operations.length > 0) {
          const repaired = this.apply({ kind: 'edit', operations })
          const after = parseRemoteUser(answerBody(repaired) ?? null)
          if (after !== null) expect(repairPlan(after, plan.syncedAfter, { owned, exclusive: new Set() })).toEqual([])
        }
      }
      this.#record(end === 'done' ? null : plan.syncedAfter)
      return plans
    }
    throw new Error('planned more than three times')
  }

  #record(synced: Profile | null) {
    this.synced = synced
    this.unclear = []
  }
}

/** What SuprSend holds, or a profile says, as a sorted list of texts. */
function facts(of: {
  readonly channels: object
  readonly properties: { readonly [key: string]: Json }
}): readonly string[] {
  const lines = Object.entries(of.properties).map(([key, value]) => `${key}=${canonical(value)}`)
  for (const [key, values] of Object.entries(of.channels)) {
    if (!isChannelKey(key) || !Array.isArray(values)) continue
    for (const value of values) {
      if (typeof value === 'string' || isJsonObject(value)) lines.push(`${key}:${identity(key, value)}`)
    }
  }
  return [...new Set(lines)].sort()
}

const setting = fc.record({
  postReading: fc.constantFrom('append' as const, 'replace' as const),
  patchMissing: fc.constantFrom('create' as const, 'not_found' as const),
  onDelete: fc.constantFrom('delete' as const, 'clear' as const, 'keep' as const),
  firstContact: fc.constantFrom('upsert' as const, 'edit' as const),
  others: fc.boolean(),
})

test('whatever was applied of what was tried, the plan leaves exactly what is desired, and then rests', () => {
  fc.assert(
    fc.property(
      setting,
      fc.array(attempt, { maxLength: 5 }),
      fc.option(ours, { freq: 4 }),
      (given, attempts, desired) => {
        const world = new World(given, given)
        const theirs = facts(OTHERS)
        if (given.others)
          world.apply({ kind: 'upsert', body: { $email: ['other@x.example'], $whatsapp: ['+14155550199'], theirs: 1 } })
        world.posts = 0
        let vanished = false
        for (const { desired: target, answered, applied, vanish } of attempts) {
          if (vanish && world.user !== null) {
            world.users.delete('u')
            world.unseen = true
            vanished = true
          }
          world.carryOut(target, answered, applied)
        }
        const existed = world.user !== null
        world.carryOut(desired, Number.POSITIVE_INFINITY, true)
        // Clearing a user who was never created, or keeping one, creates nobody.
        if (desired === null && !existed && !vanished) expect(world.user).toBeNull()

        const held = world.user === null ? null : facts(comparable(world.user))
        const own = held?.filter((fact) => !theirs.includes(fact)) ?? null
        if (world.unseen) {
          expect(held).toBeNull()
        } else if (desired !== null) {
          expect(own).toEqual(facts(desired))
          expect(world.synced).toEqual(desired)
        } else if (given.onDelete === 'delete') {
          // Somebody else's user of whom nothing was ever sent is not ours to delete.
          if (own !== null) expect(own).toEqual([])
          if (world.deletes > 0 || !given.others) expect(held).toBeNull()
        } else {
          expect(own ?? []).toEqual(world.synced === null ? [] : facts(world.synced))
        }
        const mayHaveReplaced = given.postReading === 'replace' && given.firstContact === 'upsert' && world.posts > 0
        if (given.others && !vanished && world.deletes === 0 && !mayHaveReplaced) {
          expect(held).toEqual(expect.arrayContaining([...theirs]))
        }
        expect(world.plan(desired).kind).toBe('settled')
      },
    ),
    { numRuns: 3000 },
  )
}, 30_000)
