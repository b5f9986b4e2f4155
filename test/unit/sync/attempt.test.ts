// One user's attempt against a SuprSend of scripted outcomes: what is recorded of it.
import { expect, test } from 'vitest'
import type { Outcome, RequestKind } from '../../../src/core/api.ts'
import type { Claim } from '../../../src/core/delivery-port.ts'
import type { Json } from '../../../src/core/json.ts'
import { outcomeOf } from '../../../src/core/outcome.ts'
import { fingerprintOf, secretReference } from '../../../src/core/secret-reference.ts'
import { type AttemptPolicy, attemptUser, type Send } from '../../../src/sync/attempt.ts'

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
  pendingSince: 0,
}
const POLICY: AttemptPolicy = { onDelete: 'delete', firstContact: 'upsert', exclusive: new Set() }

function answered(kind: RequestKind, status: number, body: Json): Outcome {
  return outcomeOf(kind, { kind: 'answered', status, body, retryAfterMs: null })
}

test('the repair is refused: the user is set aside with the reason, and what was sent stays unclear', async () => {
  const requests: string[] = []
  const send: Send = async (_, request) => {
    requests.push(request.kind)
    return request.kind === 'upsert'
      ? answered('upsert', 201, { distinct_id: 'ann', $email: [], properties: {} })
      : answered('edit', 400, { code: 400, message: '$email: value must be of string type' })
  }
  const end = await attemptUser(CLAIM, { policy: POLICY, secrets: new Map(), send })
  expect(requests).toEqual(['upsert', 'edit'])
  expect(end).toMatchObject({
    kind: 'failed',
    record: {
      synced: null,
      unclear: [{ token: 'mine', target: CLAIM.desired }],
      failure: { code: 'invalid_value', key: '$email' },
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
  const send: Send = async (_, request) => {
    expect(JSON.stringify(request)).toContain('xoxb-canary')
    return answered(request.kind, status, { code: status, message, error: { detail: message } })
  }
  const end = await attemptUser(claim, { policy: POLICY, secrets: known, send })
  expect(end.kind).toBe('failed')
  expect(JSON.stringify(end)).not.toMatch(/canary/)
  expect(JSON.stringify(end.kind === 'failed' && [end.outcome, end.record.failure])).not.toContain('ann@')
})
