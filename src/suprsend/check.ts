// The preflight of SuprSend: is the address the user API, and is the key accepted? Asks for a user that cannot exist, so
// that nothing is read or written. Every finding has a stable code and says what to do.
import { randomUUID } from 'node:crypto'
import type { Answer, Outcome } from '../core/api.ts'
import { ERROR_POLICY } from '../core/error-policy.ts'
import type { Finding } from '../core/finding.ts'
import { isJsonObject, type Json } from '../core/json.ts'
import { outcomeOf } from '../core/outcome.ts'
import type { SuprsendClient } from './client.ts'

export interface CheckOptions {
  readonly client: Pick<SuprsendClient, 'send'>
  readonly signal: AbortSignal
}

/** Empty = all is well. */
export async function checkSuprsend({ client, signal }: CheckOptions): Promise<readonly Finding[]> {
  const answer = await client.send(`suprsync-check-${randomUUID()}`, { kind: 'get' }, signal)
  return findingsOf(answer, outcomeOf('get', answer))
}

function findingsOf(answer: Answer, outcome: Outcome): readonly Finding[] {
  switch (outcome.kind) {
    case 'missing':
      return []
    case 'accepted':
      // Nobody has that id: only a user's own object shows that a user API answers there.
      if (answer.kind === 'answered' && looksLikeUser(answer.body)) return []
      return [{ code: 'suprsend_wrong_address', level: 'error', message: sentence(NOT_THE_API) }]
    case 'rejected':
      // The reference lists 400 `invalid_request_error` as this endpoint's only error: the key was accepted before it.
      if (outcome.failure.status === 400) return []
      return [{ code: 'suprsend_unexpected', level: 'warning', message: sentence(outcome.failure) }]
    case 'stop':
      return [{ code: 'api_key_rejected', level: 'error', message: sentence(outcome.failure) }]
    case 'retry':
      return [retryFinding(answer, outcome)]
  }
}

const NOT_THE_API = { code: 'not_the_api', message: ERROR_POLICY.not_the_api.message }

function looksLikeUser(body: Json): boolean {
  return isJsonObject(body) && typeof body.distinct_id === 'string'
}

function retryFinding(answer: Answer, { failure }: Extract<Outcome, { kind: 'retry' }>): Finding {
  if (answer.kind !== 'answered') {
    return { code: 'suprsend_unreachable', level: 'error', message: sentence(failure), cause: answer.code }
  }
  const wrongAddress = ['redirected', 'not_the_api', 'gateway_refused'].includes(failure.code)
  if (wrongAddress) return { code: 'suprsend_wrong_address', level: 'error', message: sentence(failure) }
  return { code: 'suprsend_unavailable', level: 'warning', message: sentence(failure) }
}

function sentence(failure: { readonly code: string; readonly message: string }): string {
  const policy = Object.entries(ERROR_POLICY).find(([code]) => code === failure.code)?.[1]
  const what = failure.message.charAt(0).toUpperCase() + failure.message.slice(1)
  return `${what}. ${policy?.nextStep ?? ''}`.trim()
}
