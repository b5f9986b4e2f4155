// Draws the outcome from an answer: what happened to the request and whose trouble it is. Guarantees: `applied: 'no'` only
// when SuprSend certainly did nothing (connection refused, name not found, a 4xx other than 408 that is no transient
// message); no failure carries anything the server said (P8); every answer has an outcome. Codes: error-policy.ts.
import type { Answer, ApiRequest, Failure, Outcome, RequestKind } from './api.ts'
import { type DeliveryCode, ERROR_POLICY } from './error-policy.ts'
import { isJsonObject, type Json } from './json.ts'
import type { UnreadableKind } from './metrics.ts'
import type { Looked } from './plan-report.ts'
import { keyOfOperation, propertiesOf, valuesOf } from './refusal.ts'
import { parseRemoteUser } from './remote-user.ts'
import { messageText, namedPlaces, readServerMessage, type ServerMessage } from './server-message.ts'

type Answered = Extract<Answer, { kind: 'answered' }>
type Retry = Extract<Outcome, { kind: 'retry' }>

/** The `code` of an unclear answer when our own signal ended the request. */
export const ABORTED = 'aborted'

/** Of the request itself it can be told which of its values an answer is about. */
export function outcomeOf(request: ApiRequest | RequestKind, given: Answer): Outcome {
  const answer = given.kind === 'answered' ? { ...given, status: toldStatus(given) } : given
  switch (answer.kind) {
    case 'answered': {
      if (answer.status >= 200 && answer.status < 300) return answeredWell(kindOf(request), answer)
      if (typeof request === 'string') return refusedFor(request, answer, readServerMessage(answer.body))
      const message = readServerMessage(answer.body, propertiesOf(request))
      const key = message.key ?? keyOfOperation(request, message.operation)
      const outcome = refusedFor(request.kind, answer, { ...message, key })
      if (outcome.kind !== 'rejected' || outcome.failure.key === null) return outcome
      return { ...outcome, places: placesOf(request, outcome.failure.key, { body: answer.body, ...message }) }
    }
    case 'unsent':
      if (answer.code === ABORTED) return noAnswer('aborted', 'no', 'user')
      return noAnswer('unreachable', 'no', 'host')
    case 'unclear':
      // What we gave up ourselves says nothing about the host.
      return answer.code === ABORTED ? noAnswer('aborted', 'unclear', 'user') : noAnswer('no_answer', 'unclear', 'host')
  }
}

/** The place among the operations says it best. */
function placesOf(
  request: ApiRequest,
  key: string,
  { body, operation }: { readonly body: Json; readonly operation: number | null },
): readonly number[] {
  if (operation !== null && keyOfOperation(request, operation) === key) {
    const before = request.kind === 'edit' ? request.operations.slice(0, operation) : []
    return [valuesOf({ kind: 'edit', operations: before }, key).length]
  }
  return namedPlaces(body, key, valuesOf(request, key))
}

/** For an answer, or a user, on which our own code failed: whatever was sent may have been applied. */
export const UNREADABLE: Outcome = noAnswer('not_the_api', 'unclear', 'user')

/** A refusal of the key, as it seemed, that meets one user alone: that user is set aside. */
export function refusedAlone({ status }: Failure): Outcome {
  return { kind: 'rejected', failure: failure('forbidden', status) }
}

/** Trouble that has not passed within `suprsend.give_up_after`: the user is set aside with what it met last. */
export function givenUp({ failure }: Retry): Outcome {
  return { kind: 'rejected', failure: { ...failure, message: `${failure.message}; given up` } }
}

/** A text that the request needs is not known here. The variable's name is of the mapping file, no value of a row. */
export function secretMissing({ name, key }: { readonly name: string; readonly key: string | null }): Outcome {
  const { code, message } = failure('secret_missing', null, key)
  return { kind: 'rejected', failure: { code, status: null, key, message: `${message}: ${name}` } }
}

/** `200 OK` with `{"code":400,"message":"…"}` is a 400: some gateways answer so. No user has a `code`. */
function toldStatus({ status, body }: Answered): number {
  if (status < 200 || status >= 300 || !isJsonObject(body) || 'distinct_id' in body) return status
  const { code, message } = body
  return typeof code === 'number' && code >= 400 && code < 600 && typeof message === 'string' ? code : status
}

function kindOf(request: ApiRequest | RequestKind): RequestKind {
  return typeof request === 'string' ? request : request.kind
}

function answeredWell(kind: RequestKind, answer: Answered): Outcome {
  if (!isApiSuccess(kind, answer.body)) return retry(answer, 'not_the_api', { applied: 'unclear' })
  return { kind: 'accepted', user: kind === 'delete' ? null : parseRemoteUser(answer.body) }
}

type Said = Pick<ServerMessage, 'transient' | 'key'>

function refusedFor(kind: RequestKind, answer: Answered, { transient, key }: Said): Outcome {
  const { status, body } = answer
  if (transient) return retry(answer, 'transient', { applied: 'unclear' })
  if (status >= 500) {
    // A gateway's own page speaks for the host; an error of the API itself speaks for this request.
    return retry(answer, 'server_error', {
      applied: 'unclear',
      scope: isJsonObject(body) && !asksToWait(answer) ? 'user' : 'host',
    })
  }
  if (status < 400) return retry(answer, 'redirected', {})
  switch (status) {
    case 401:
      return { kind: 'stop', failure: failure('unauthorized', status) }
    case 402:
      return { kind: 'stop', failure: failure('payment_required', status) }
    case 403:
      // A firewall's HTML page may be about one user's text: it must not stop the others (P6).
      if (isHtml(body)) return retry(answer, 'gateway_refused', {})
      return { kind: 'stop', failure: failure('forbidden', status) }
    case 404:
      if (!isApiNotFound(body)) return retry(answer, 'not_the_api', {})
      return kind === 'upsert' ? { kind: 'rejected', failure: failure('not_found', status) } : { kind: 'missing' }
    case 408:
      return retry(answer, 'busy', { applied: 'unclear' })
    case 409:
    case 425:
      return retry(answer, 'busy', {})
    case 413:
      return { kind: 'rejected', failure: failure('too_large', status, key) }
    case 429:
      return retry(answer, 'rate_limited', {})
    default:
      return { kind: 'rejected', failure: failure(key === null ? 'invalid_request' : 'invalid_value', status, key) }
  }
}

/**
 * A load balancer's or a captive portal's `200 OK` must not pass for the API's: everybody would count as synced (P1). No
 * body, or JSON cut short, proves nothing against it.
 */
function isApiSuccess(kind: RequestKind, body: Json): boolean {
  if (isHtml(body)) return false
  if (kind !== 'upsert' && kind !== 'edit') return true
  if (typeof body !== 'string') return body === null || isJsonObject(body)
  return body.trim() === '' || body.trimStart().startsWith('{')
}

/**
 * `{"code":404,"message":"user [distinct_id: '…'] not found"}`. A 404 of anything else (a wrong base_url, a router's
 * `404 page not found`) would let a DELETE pass for done and lose it (P1), so it is not taken for SuprSend's.
 */
function isApiNotFound(body: Json): boolean {
  if (isHtml(body)) return false
  const text = messageText(body)
  if (isJsonObject(body) && body.code === 404) return /not found/i.test(text)
  return /\b(user|subscriber|distinct_id)\b.*\bnot found\b/is.test(text)
}

function isHtml(body: Json): boolean {
  return typeof body === 'string' && body.trimStart().startsWith('<')
}

/** Whoever it answered so speaks for everybody. */
function asksToWait({ status, retryAfterMs }: Answered): boolean {
  return status === 429 || (status === 503 && retryAfterMs !== null && retryAfterMs > 0)
}

function retry(answer: Answered, code: DeliveryCode, given: Partial<Pick<Retry, 'applied' | 'scope'>>): Retry {
  return {
    kind: 'retry',
    applied: given.applied ?? 'no',
    scope: given.scope ?? (asksToWait(answer) ? 'host' : 'user'),
    floorMs: answer.retryAfterMs ?? 0,
    failure: failure(code, answer.status),
  }
}

function noAnswer(code: DeliveryCode, applied: Retry['applied'], scope: Retry['scope']): Retry {
  return { kind: 'retry', applied, scope, floorMs: 0, failure: failure(code, null) }
}

function failure(code: DeliveryCode, status: number | null, key: string | null = null): Failure {
  const about = [...(key === null ? [] : [`key ${key}`]), ...(status === null ? [] : [`HTTP ${status}`])]
  const { message } = ERROR_POLICY[code]
  return { code, status, key, message: about.length === 0 ? message : `${message} (${about.join(', ')})` }
}

/** What an answer lacks that it should tell; null: it is as it should be, or something else altogether (a web page). */
export function unreadable(kind: RequestKind, answer: Answer): UnreadableKind | null {
  if (answer.kind !== 'answered') return null
  const { status, body } = answer
  if (status >= 200 && status < 300) return kind === 'delete' || parseRemoteUser(body) !== null ? null : 'no_user'
  return status >= 400 && messageText(body).trim() === '' ? 'no_message' : null
}

/** What a GET that is not asked again has told of its user. */
export function lookedAt(outcome: Outcome): Looked {
  switch (outcome.kind) {
    case 'accepted':
      return outcome.user
        ? { kind: 'found', user: outcome.user }
        : { kind: 'failed', failure: failure('not_the_api', null) }
    case 'missing':
      return { kind: 'missing' }
    case 'rejected':
    case 'retry':
    case 'stop':
      return { kind: 'failed', failure: outcome.failure }
  }
}
