// One user's attempt against a SuprSend of scripted outcomes: what is recorded of it.
import { expect, test } from 'vitest'
import type { Outcome, RequestKind } from '../../../src/core/api.ts'
import type { Claim } from '../../../src/core/delivery-port.ts'
import type { Json } from '../../../src/core/json.ts'
import { outcomeOf } from '../../../src/core/outcome.ts'
import { type AttemptPolicy, attemptUser, type Send } from '../../../src/sync/attempt.ts'

const CLAIM: Claim = {
  distinctId: 'ann',
  token: 'mine',
  desired: { channels: { $email: ['new@example.com'] }, properties: {} },
  desiredHash: 'h',
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
