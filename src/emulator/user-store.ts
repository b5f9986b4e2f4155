// The users of the API as a pure model: a request and the users before it give an answer and the users after it. The
// HTTP edge stands on it, and so can a property test of whatever plans requests: core/api.ts's ApiRequest fits in.
import type { JsonObject } from '../core/json.ts'
import { type Instant, newUser, type StoredUser, userObject, userSummary } from './stored-user.ts'
import { edited, type PostReading, upserted } from './user-edit.ts'
import { distinctIdProblem, editProblem, type Judged, upsertProblem } from './validation.ts'

/** A request of the right shape; its values are still to be judged. */
export type UserRequest =
  | { readonly kind: 'upsert'; readonly body: JsonObject }
  | { readonly kind: 'edit'; readonly operations: readonly JsonObject[] }
  | { readonly kind: 'delete' }
  | { readonly kind: 'get' }

export interface StoreRules {
  readonly postReading: PostReading
  /** What PATCH does for a user that does not exist; documented nowhere. */
  readonly patchMissing: 'create' | 'not_found'
  /** What a request leaves that is refused for a value it adds: nothing, or all of it; documented nowhere. */
  readonly refusalReading?: 'nothing' | 'stored'
  /** Whether `$remove` of a value is refused that would be refused when it is added; documented nowhere. */
  readonly removalReading?: 'any' | 'valid'
  /** Channel values that are refused although they are well-formed. */
  readonly refusedValues?: readonly string[]
}

export interface StoreAnswer {
  /** 200, 201, 202, 204; 400, 404. */
  readonly status: number
  /** The user after the request; null when there is none. */
  readonly user: StoredUser | null
  /** Of a rejection. */
  readonly message: string | null
}

interface Before {
  readonly distinctId: string
  readonly user: StoredUser | null
}

/** Pure: what one request does to one user. A rejected one leaves it as it was, in one reading of it. */
export function transition(before: Before, request: UserRequest, rules: StoreRules & Instant): StoreAnswer {
  const { distinctId, user } = before
  const { removalReading, refusedValues: refused = [] } = rules
  const problem = requestProblem(distinctId, request, { added: true, removed: removalReading === 'valid', refused })
  if (problem === null) return applied(before, request, rules)
  const isStored =
    rules.refusalReading === 'stored' && requestProblem(distinctId, request, { added: false, removed: false }) === null
  const left = isStored ? applied(before, withoutRefusedRemovals(request, rules), rules).user : user
  return { status: 400, user: left, message: problem }
}

function withoutRefusedRemovals(request: UserRequest, { removalReading, refusedValues = [] }: StoreRules): UserRequest {
  if (request.kind !== 'edit' || removalReading !== 'valid') return request
  const judged = { added: false, removed: true, refused: refusedValues }
  return { kind: 'edit', operations: request.operations.filter((each) => editProblem([each], judged) === null) }
}

function applied({ distinctId, user }: Before, request: UserRequest, rules: StoreRules & Instant): StoreAnswer {
  const created = (): StoredUser => newUser(distinctId, rules)
  switch (request.kind) {
    case 'upsert': {
      const next = upserted(user ?? created(), request.body, rules.postReading)
      return { status: 201, user: { ...next, updatedAt: rules.now }, message: null }
    }
    case 'edit': {
      if (user === null && rules.patchMissing === 'not_found') return notFound(distinctId)
      const next = edited(user ?? created(), request.operations)
      return { status: 202, user: { ...next, updatedAt: rules.now }, message: null }
    }
    case 'delete':
      return user === null ? notFound(distinctId) : { status: 204, user: null, message: null }
    case 'get':
      return user === null ? notFound(distinctId) : { status: 200, user, message: null }
  }
}

/** The same on a Map of users, which it changes. */
export function applyRequest(
  users: Map<string, StoredUser>,
  distinctId: string,
  request: UserRequest,
  rules: StoreRules & Instant,
): StoreAnswer {
  const user = users.get(distinctId) ?? null
  const answer = transition({ distinctId, user }, request, rules)
  if (answer.user === null) users.delete(distinctId)
  else if (answer.user !== user) users.set(distinctId, answer.user)
  return answer
}

/** The answer's body as parsed JSON; null when it has none. */
export function answerBody(answer: StoreAnswer): JsonObject | null {
  if (answer.message !== null) return { code: answer.status, message: answer.message }
  return answer.user === null ? null : userObject(answer.user)
}

export interface PageQuery {
  readonly limit: number
  /** Cursors as a page's `meta` gave them; empty = none. */
  readonly before: string
  readonly after: string
}

/** GET /v1/user/: users in the order of their creation, without channels. */
export function listUsers(users: ReadonlyMap<string, StoredUser>, query: PageQuery): JsonObject {
  const all = [...users.values()]
  const after = cursorSequence(query.after) ?? -1
  const before = cursorSequence(query.before) ?? Number.POSITIVE_INFINITY
  const between = all.filter((user) => user.sequence > after && user.sequence < before)
  const backwards = query.before !== '' && query.after === ''
  const page = backwards ? between.slice(-query.limit) : between.slice(0, query.limit)
  const first = page.at(0)
  const last = page.at(-1)
  return {
    meta: {
      count: all.length,
      limit: query.limit,
      has_prev: first !== undefined && all.some((user) => user.sequence < first.sequence),
      before: first === undefined ? null : cursor(first),
      has_next: last !== undefined && all.some((user) => user.sequence > last.sequence),
      after: last === undefined ? null : cursor(last),
    },
    results: page.map(userSummary),
  }
}

function cursor(user: StoredUser): string {
  return Buffer.from(String(user.sequence)).toString('base64url')
}

function cursorSequence(text: string): number | null {
  const decoded = Buffer.from(text, 'base64url').toString()
  return /^\d+$/.test(decoded) ? Number(decoded) : null
}

function requestProblem(distinctId: string, request: UserRequest, judged: Judged): string | null {
  const problem = distinctIdProblem(distinctId)
  if (problem !== null) return problem
  if (request.kind === 'upsert') return upsertProblem(request.body, judged)
  if (request.kind === 'edit') return editProblem(request.operations, judged)
  return null
}

function notFound(distinctId: string): StoreAnswer {
  return { status: 404, user: null, message: `user [distinct_id: '${distinctId}'] not found` }
}
