// Whole attempts, over every channel and variant, against the emulator's own user store: whatever was applied of what was
// tried, however often the secrets were rotated meanwhile, of ours SuprSend then holds exactly what is desired, others'
// values stay where they are not excluded, nothing is sent again, and no record holds a secret (P2, P4, P8).
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ApiRequest, Outcome } from '../../../src/core/api.ts'
import { identity } from '../../../src/core/channel-value.ts'
import type { Claim } from '../../../src/core/delivery-port.ts'
import { canonical, digest, isJsonObject } from '../../../src/core/json.ts'
import { operationsOf, wholeChange } from '../../../src/core/operations.ts'
import { outcomeOf } from '../../../src/core/outcome.ts'
import { CHANNEL_KEYS, type ChannelKey, isChannelKey, type Profile } from '../../../src/core/profile.ts'
import type { Attempt } from '../../../src/core/unclear.ts'
import { comparable, type StoredUser } from '../../../src/emulator/stored-user.ts'
import { answerBody, applyRequest, type StoreRules } from '../../../src/emulator/user-store.ts'
import { attemptUser } from '../../../src/sync/attempt.ts'
import type { AttemptEnd } from '../../../src/sync/attempt-record.ts'
import type { AttemptPolicy } from '../../../src/sync/attempt-state.ts'
import { type Environment, environment, inClear, profiles, THEIRS } from './whole-profiles.ts'

const ENVIRONMENTS: readonly Environment[] = [environment(0), environment(1), environment(2)]

interface Step {
  readonly age: number
  readonly desired: Profile | null
  /** How many requests are answered; the one after them is applied or not, and its answer never comes. */
  readonly answered: number
  readonly applied: boolean
  /** Somebody deletes the user in SuprSend before the attempt. */
  readonly vanish: boolean
  /** The mapping gives for this attempt what it gave for the one before. */
  readonly stay: boolean
}

function steps(age: number): fc.Arbitrary<Step> {
  return fc.record({
    age: fc.constant(age),
    desired: fc.option(profiles(environment(age)), { freq: 4 }),
    answered: fc.constantFrom(0, 0, 1, 2, 9),
    applied: fc.boolean(),
    vanish: fc.constantFrom(false, false, false, true),
    stay: fc.boolean(),
  })
}

/** A user's life: each rotation is for good. */
const life = fc
  .tuple(
    fc.array(steps(0), { maxLength: 2 }),
    fc.array(steps(1), { maxLength: 2 }),
    fc.option(profiles(environment(2)), { freq: 5 }),
  )
  .map(([first, second, desired]) => ({ past: [...first, ...second], desired }))

const setting = fc.record({
  postReading: fc.constantFrom('append' as const, 'replace' as const),
  patchMissing: fc.constantFrom('create' as const, 'not_found' as const),
  onDelete: fc.constantFrom('delete' as const, 'clear' as const, 'keep' as const),
  firstContact: fc.constantFrom('upsert' as const, 'edit' as const),
  exclusive: fc.subarray([...CHANNEL_KEYS]).map((keys): ReadonlySet<ChannelKey> => new Set(keys)),
  others: fc.boolean(),
})

class World {
  readonly users = new Map<string, StoredUser>()
  readonly sent: ApiRequest[] = []
  synced: Profile | null = null
  unclear: readonly Attempt[] = []
  readonly #rules: StoreRules
  readonly #policy: AttemptPolicy
  #sequence = 0

  constructor(rules: StoreRules, policy: AttemptPolicy) {
    this.#rules = rules
    this.#policy = policy
  }

  get user(): StoredUser | null {
    return this.users.get('u') ?? null
  }

  apply(request: ApiRequest): Outcome {
    this.#sequence += 1
    const instant = { now: String(this.#sequence), sequence: this.#sequence }
    const answer = applyRequest(this.users, 'u', request, { ...this.#rules, ...instant })
    expect(answer.status, answer.message ?? '').not.toBe(400)
    return outcomeOf(request, {
      kind: 'answered',
      status: answer.status,
      retryAfterMs: null,
      body: answerBody(answer),
    })
  }

  async attempt({ age, desired, answered, applied }: Omit<Step, 'vanish' | 'stay'>): Promise<AttemptEnd> {
    let left = answered
    const end = await attemptUser(this.#claim(desired), {
      policy: this.#policy,
      secrets: known(age),
      send: async (_, request) => {
        this.sent.push(request)
        left -= 1
        if (left >= 0) return this.apply(request)
        if (applied) this.apply(request)
        return outcomeOf(request.kind, { kind: 'unclear', code: 'ECONNRESET' })
      },
    })
    if (end.kind === 'unsent') throw new Error('the attempt was not made')
    expect(JSON.stringify(end)).not.toContain('canary')
    this.synced = end.record.synced
    this.unclear = end.record.unclear
    return end
  }

  #claim(desired: Profile | null): Claim {
    const token = `t${this.#sequence}`
    const state = {
      synced: this.synced,
      syncedHash: null,
      unclear: this.unclear,
      attempts: 0,
      failingSince: null,
      pendingSince: 0,
    }
    return {
      distinctId: 'u',
      bucket: 0,
      token,
      desired,
      desiredHash: null,
      held: false,
      loses: false,
      erase: false,
      ...state,
    }
  }
}

/** What a process of this age was started with. */
function known(age: number): ReadonlyMap<string, { reveal(): string }> {
  const texts: readonly string[] = Object.values(environment(age))
  return new Map(texts.map((text) => [digest(text), { reveal: () => text }]))
}

/** What SuprSend holds, or a profile says, as a sorted list of texts. */
function facts(of: { readonly channels: object; readonly properties: Profile['properties'] }): readonly string[] {
  const lines = Object.entries(of.properties).map(([key, value]) => `${key}=${propertyText(key, canonical(value))}`)
  for (const [key, values] of Object.entries(of.channels)) {
    if (!isChannelKey(key) || !Array.isArray(values)) continue
    for (const value of values) {
      if (typeof value === 'string' || isJsonObject(value)) lines.push(`${key}:${identity(key, value)}`)
    }
  }
  return [...new Set(lines)].sort()
}

/** `_` and `-` in a locale are one. */
function propertyText(key: string, text: string): string {
  return key === '$locale' ? text.replaceAll('_', '-') : text
}

const theirs = facts(THEIRS)
const isExclusive = (fact: string, exclusive: ReadonlySet<ChannelKey>) =>
  [...exclusive].some((key) => fact.startsWith(`${key}:`))

test('whatever was applied of what was tried, and however often secrets were rotated, what is desired is held, and then rests', async () => {
  await fc.assert(
    fc.asyncProperty(setting, life, async (given, { past, desired }) => {
      const world = new World(given, given)
      if (given.others) world.apply({ kind: 'edit', operations: operationsOf(wholeChange([], THEIRS)) })
      if (given.others && given.patchMissing === 'not_found') {
        world.apply({ kind: 'upsert', body: {} })
        world.apply({ kind: 'edit', operations: operationsOf(wholeChange([], THEIRS)) })
      }
      let vanished = false
      let unseen = false
      let before: Profile | null = null
      for (const step of past) {
        if (step.vanish && world.user !== null) {
          world.users.delete('u')
          vanished = true
          unseen = true
        }
        const target: Profile | null = step.stay && before !== null ? before : step.desired
        // What was mapped in a former environment is not what it would be mapped to now: another sender has it.
        before = step.desired
        const count = world.sent.length
        await world.attempt({ ...step, desired: target })
        if (world.sent.length > count) unseen = false
      }
      const existed = world.user !== null
      const count = world.sent.length
      const last = { age: 2, desired, answered: Number.POSITIVE_INFINITY, applied: true }
      const end = await world.attempt(last)
      const touched = world.sent.length > count
      if (touched) unseen = false
      if (end.kind === 'failed') {
        // Only what is kept of a user who is gone can need a text that nobody knows any more.
        expect(end.outcome).toMatchObject({ kind: 'rejected', failure: { code: 'secret_missing' } })
        expect([desired, given.onDelete, touched]).toEqual([null, 'keep', false])
        return
      }
      if (end.kind === 'accepted') expect(end.drifted).toBe(false)
      if (desired === null && !existed && !vanished) expect(world.user).toBeNull()

      const held = world.user === null ? null : facts(comparable(world.user))
      const own = held?.filter((fact) => !theirs.includes(fact)) ?? null
      const inFull = (profile: Profile) => facts(inClear(profile, ENVIRONMENTS))
      if (unseen) {
        expect(held).toBeNull()
      } else if (desired !== null) {
        expect(own).toEqual(inFull(desired))
        expect(world.synced).toEqual(desired)
      } else if (given.onDelete === 'delete') {
        if (own !== null) expect(own).toEqual([])
      } else {
        expect(own ?? []).toEqual(world.synced === null ? [] : inFull(world.synced))
      }
      const writes = world.sent.map(({ kind }) => kind)
      const replaced = given.postReading === 'replace' && writes.includes('upsert')
      if (given.others && !vanished && !writes.includes('delete') && !(replaced && given.firstContact === 'upsert')) {
        expect(held).toEqual(expect.arrayContaining(theirs.filter((fact) => !isExclusive(fact, given.exclusive))))
      }
      // With nothing to send nothing is compared.
      if (touched)
        expect((held ?? []).filter((fact) => theirs.includes(fact) && isExclusive(fact, given.exclusive))).toEqual([])

      const sent = world.sent.length
      expect(await world.attempt(last)).toMatchObject({ kind: 'accepted', sent: false })
      expect(world.sent).toHaveLength(sent)
    }),
    { numRuns: 400 },
  )
}, 60_000)
