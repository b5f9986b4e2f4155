// The user API of SuprSend as values: requests we make, answers we get, outcomes we draw. Pure types, shared by the
// planner (core), the client (suprsend/) and delivery (sync/).
import type { Json, JsonObject } from './json.ts'

/** One element of a PATCH's `operations`. https://docs.suprsend.com/reference/edit-user-profile */
export type Operation =
  | { readonly $append: JsonObject }
  | { readonly $remove: JsonObject }
  | { readonly $set: JsonObject }
  | { readonly $unset: readonly string[] }

export type ApiRequest =
  /** POST /v1/user/{distinct_id}/ : creates the user or adds to it. */
  | { readonly kind: 'upsert'; readonly body: JsonObject }
  /** PATCH /v1/user/{distinct_id}/ : ordered operations. */
  | { readonly kind: 'edit'; readonly operations: readonly Operation[] }
  /** DELETE /v1/user/{distinct_id}/ */
  | { readonly kind: 'delete' }
  /** GET /v1/user/{distinct_id}/ */
  | { readonly kind: 'get' }

export type RequestKind = ApiRequest['kind']

/** What came back for one request, before anything is concluded from it. */
export type Answer =
  | {
      readonly kind: 'answered'
      readonly status: number
      /** Retry-After in milliseconds from now, from either of its two forms. */
      readonly retryAfterMs: number | null
      /** Parsed JSON, or the text when it was not JSON, or null when empty. Bounded in size by the client. */
      readonly body: Json
    }
  /** Certainly never reached SuprSend: connection refused, name not found. */
  | { readonly kind: 'unsent'; readonly code: string }
  /** May or may not have been applied: time-out, reset, aborted by us. */
  | { readonly kind: 'unclear'; readonly code: string }

/** A user as GET, POST and PATCH return it, reduced to what is comparable. Inactive entries are already left out. */
export interface RemoteUser {
  readonly channels: { readonly [key: string]: readonly Json[] }
  readonly properties: { readonly [key: string]: Json }
}

/** A failure as it is kept in state and listed: never with a value of the profile. */
export interface Failure {
  readonly code: string
  /** HTTP status, or null when there was no answer. */
  readonly status: number | null
  /** The profile key that the answer names, if it names one. */
  readonly key: string | null
  readonly message: string
  /** These keys alone are set aside, everything else of the profile was sent. Absent: the whole user is. */
  readonly keys?: readonly string[]
}

export type Outcome =
  | { readonly kind: 'accepted'; readonly user: RemoteUser | null }
  /** 404: SuprSend does not know the user. */
  | { readonly kind: 'missing' }
  /** Try again later. `applied: 'no'` only when it certainly was not applied. `host`: the trouble is not this user's. */
  | {
      readonly kind: 'retry'
      readonly applied: 'no' | 'unclear'
      readonly scope: 'user' | 'host'
      readonly floorMs: number
      readonly failure: Failure
    }
  /**
   * Set this user aside, or what the failure's key names. `places`: which of the values that the request carries for the key
   * (refusal.ts, valuesOf) the answer repeats; positions, never the values.
   */
  | { readonly kind: 'rejected'; readonly failure: Failure; readonly places?: readonly number[] }
  /** Stop sending until the operator acts: 401, 403. Nothing was applied. */
  | { readonly kind: 'stop'; readonly failure: Failure }
