// One user's attempt against a SuprSend of scripted outcomes: what is recorded of it.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import type { Answer, Outcome, RequestKind } from '../../../src/core/api.ts'
import type { Claim } from '../../../src/core/delivery-port.ts'
import type { Json } from '../../../src/core/json.ts'
import { outcomeOf } from '../../../src/core/outcome.ts'
import { EMPTY_PROFILE } from '../../../src/core/profile.ts'
import { fingerprintOf, secretReference } from '../../../src/core/secret-reference.ts'
import type { StoredUser } from '../../../src/emulator/stored-user.ts'
import { applyRequest } from '../../../src/emulator/user-store.ts'
import { attemptUser } from '../../../src/sync/attempt.ts'
import { brokenAttempt } from '../../../src/sync/attempt-record.ts'
import type { AttemptPolicy, Send } from '../../../src/sync/attempt-state.ts'
import { until } from '../../support/wait.ts'

const CLAIM: Claim = {
  bucket: 0,
  distinctId: 'ann',
  token: 'mine',
  desired: { channels: { $email: ['new@example.com'] }, properties: {} },
  desiredHash: 'h',
  held: false,
  loses: false,
  erase: false,
  synced: null,
  syncedHash: null,
  unclear: [],
  attempts: 0,
  failingSince: null,
  pendingSince: 0,
}
const POLICY: AttemptPolicy = { onDelete: 'delete', firstContact: 'upsert', exclusive: new Set() }

const refusal = (message: string): Answer => ({
  ...{ kind: 'answered', status: 400, retryAfterMs: null },
  body: { code: 400, message },
})

function answered(kind: RequestKind, status: number, body: Json): Outcome {
  return outcomeOf(kind, { kind: 'answered', status, body, retryAfterMs: null })
}

test('the repair is refused, and by name: that key alone is set aside', async () => {
  const requests: string[] = []
  const send: Send = async (_, request) => {
    requests.push(request.kind)
    return request.kind === 'upsert'
      ? answered('upsert', 201, { distinct_id: 'ann', $email: [], properties: {} })
      : outcomeOf(request, refusal('$email: value must be of string type'))
  }
  const end = await attemptUser(CLAIM, { policy: POLICY, secrets: new Map(), send })
  expect(requests).toEqual(['upsert', 'edit', 'upsert'])
  expect(end).toMatchObject({
    kind: 'accepted',
    record: { synced: EMPTY_PROFILE, unclear: [], failure: { code: 'invalid_value', keys: ['$email'] } },
  })
})

test('while the repair is under way nothing is held of what others have in the answer, which may be a megabyte of JSON', async () => {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const under = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<Outcome>()
  let junk: WeakRef<readonly object[]> | null = null
  const send: Send = async (_, request) => {
    if (request.kind === 'edit') {
      under.resolve()
      return await answer.promise
    }
    const others = Array.from({ length: 1_000 }, () => ({}))
    junk = new WeakRef(others)
    return answered('upsert', 201, { distinct_id: 'ann', $email: [], properties: { others } })
  }
  const attempt = attemptUser(CLAIM, { policy: POLICY, secrets: new Map(), send })
  await under.promise
  const gone = () => {
    collect()
    return junk?.deref() === undefined
  }
  await until(async () => gone(), { what: 'the answer to be let go' })
  answer.resolve(answered('edit', 202, { distinct_id: 'ann', $email: ['new@example.com'], properties: {} }))
  expect(await attempt).toMatchObject({ kind: 'accepted', drifted: false })
})

test('the repair is refused: the user is set aside with the reason, and what was sent stays unclear', async () => {
  const requests: string[] = []
  const send: Send = async (_, request) => {
    requests.push(request.kind)
    return request.kind === 'upsert'
      ? answered('upsert', 201, { distinct_id: 'ann', $email: [], properties: {} })
      : answered('edit', 400, { code: 400, message: 'invalid_request_error' })
  }
  const end = await attemptUser(CLAIM, { policy: POLICY, secrets: new Map(), send })
  expect(requests).toEqual(['upsert', 'edit'])
  expect(end).toMatchObject({
    kind: 'failed',
    record: {
      synced: null,
      unclear: [{ token: 'mine', target: CLAIM.desired }],
      failure: { code: 'invalid_request', key: null },
      retryInMs: null,
    },
  })
})

const TOKEN = secretReference('SLACK_BOT_TOKEN', 'xoxb-canary')
const slack = (access_token: Json): Claim['desired'] => ({
  channels: { $slack: [{ email: 'ann@example.com', access_token }] },
  properties: {},
})
const known = new Map([[fingerprintOf(TOKEN), { reveal: () => 'xoxb-canary' }]])

test('a secret that is in no environment: nothing is sent, and the user is set aside with its name', async () => {
  const send: Send = async () => {
    throw new Error('something was sent')
  }
  for (const synced of [null, CLAIM.desired]) {
    const claim = { ...CLAIM, desired: slack(TOKEN), synced }
    const end = await attemptUser(claim, { policy: POLICY, secrets: new Map(), send })
    expect(end).toMatchObject({
      kind: 'failed',
      record: { synced, unclear: [], failure: { code: 'secret_missing', key: '$slack' }, retryInMs: null },
    })
    expect(JSON.stringify(end)).toContain('SLACK_BOT_TOKEN')
  }
})

test('a literal that moves into the environment sends nothing; the record holds the reference, with its own hash', async () => {
  const claim = { ...CLAIM, desired: slack(TOKEN), desiredHash: 'of the reference', synced: slack('xoxb-canary') }
  const end = await attemptUser(claim, {
    policy: POLICY,
    secrets: known,
    send: async (_, request) => answered(request.kind, 500, `unexpected ${request.kind}`),
  })
  expect(end).toMatchObject({ kind: 'accepted', sent: false, record: { unclear: [], failure: null } })
  expect(end.kind === 'accepted' && end.record.synced).toBe(claim.desired)
  expect(end.kind === 'accepted' && end.record.syncedHash).toBe('of the reference')
})

test.each([400, 422, 500])('a refusal that quotes the token shows it to nobody: %i', async (status) => {
  const claim = { ...CLAIM, desired: slack(TOKEN) }
  const message = '$slack: access_token xoxb-canary is not valid for ann@example.com'
  let quoted = false
  const send: Send = async (_, request) => {
    quoted ||= JSON.stringify(request).includes('xoxb-canary')
    return answered(request.kind, status, { code: status, message, error: { detail: message } })
  }
  const end = await attemptUser(claim, { policy: POLICY, secrets: known, send })
  expect([end.kind, quoted]).toEqual(['failed', true])
  expect(JSON.stringify(end)).not.toMatch(/canary/)
  expect(JSON.stringify(end.kind === 'failed' && [end.outcome, end.record.failure])).not.toContain('ann@')
})

test('a user on whom our own code fails each time: what is unclear of it does not grow with every try', () => {
  let claim = CLAIM
  for (let time = 0; time < 50; time += 1) {
    const end = brokenAttempt({ ...claim, token: `t${time}` })
    if (end.kind !== 'failed') throw new Error('it did not fail')
    expect(end.record.unclear.at(-1)).toEqual({ token: `t${time}`, target: CLAIM.desired })
    claim = { ...claim, unclear: end.record.unclear }
  }
  expect(claim.unclear).toHaveLength(1)
})

describe('giving up', () => {
  const HOUR_MS = 3_600_000
  const failing = { ...CLAIM, attempts: 9, failingSince: Date.now() - 2 * HOUR_MS }
  const attempt = (claim: Claim, answer: Outcome, acceptedAt: number | null = Date.now()) =>
    attemptUser(claim, {
      ...{ policy: POLICY, secrets: new Map(), send: async () => answer },
      patience: { giveUpAfterMs: HOUR_MS, acceptedAt },
    })
  const own = answered('upsert', 500, { code: 500, message: 'internal' })

  test('a user who fails alone for so long is set aside with what it met, and what was tried stays unclear', async () => {
    const end = await attempt(failing, own)
    const failure = { code: 'server_error', status: 500, message: expect.stringMatching(/; given up$/) }
    expect(end).toMatchObject({
      kind: 'failed',
      outcome: { kind: 'rejected' },
      record: { failure, retryInMs: null, failingSince: null, unclear: [{ token: 'mine', target: CLAIM.desired }] },
    })
  })

  test.each([
    ['it has only begun to fail', CLAIM, own, Date.now()],
    ['the host is the trouble', failing, answered('upsert', 502, '<html>bad gateway</html>'), Date.now()],
    ['nothing answers', failing, outcomeOf('upsert', { kind: 'unclear', code: 'ECONNRESET' }), Date.now()],
    ['nobody else is accepted', failing, own, null],
  ])('not while %s', async (_when, claim, answer, acceptedAt) => {
    const end = await attempt(claim, answer, acceptedAt)
    expect(end).toMatchObject({ kind: 'failed', outcome: { kind: 'retry' }, record: { retryInMs: expect.any(Number) } })
    expect(end.kind === 'failed' && end.record.failingSince).toEqual(
      claim === CLAIM ? expect.any(Number) : claim.failingSince,
    )
  })
})

test.each(['append', 'replace'] as const)(
  'an answer that never shows what was sent is mended once and counted, never in a loop: POST %s',
  async (postReading) => {
    for (const stranger of [{ $email: [] }, { $email: [{ value: 'old@example.com', status: 'active' }] }]) {
      const users = new Map<string, StoredUser>()
      const requests: string[] = []
      const send: Send = async (id, request) => {
        requests.push(request.kind)
        const rules = { postReading, patchMissing: 'create', now: '1', sequence: requests.length } as const
        const { status } = applyRequest(users, id, request, rules)
        return answered(request.kind, status, { distinct_id: 'ann', properties: {}, ...stranger })
      }
      const old = { channels: { $email: ['old@example.com'] }, properties: {} }
      for (const synced of [null, old]) {
        requests.length = 0
        const end = await attemptUser({ ...CLAIM, synced }, { policy: POLICY, secrets: new Map(), send })
        expect(end).toMatchObject({ kind: 'accepted', drifted: true, record: { failure: null, unclear: [] } })
        expect(requests).toEqual([synced === null ? 'upsert' : 'edit', 'edit'])
      }
    }
  },
)
