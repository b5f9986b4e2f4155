// What delivery needs of state and of SuprSend. Implemented by state/delivery-store.ts and suprsend/client.ts.
import type { Answer, ApiRequest, Failure } from './api.ts'
import type { Profile } from './profile.ts'
import type { Attempt } from './unclear.ts'

export interface Claim {
  readonly distinctId: string
  /** Of users (core/buckets.ts). */
  readonly bucket: number
  /** Names this attempt in `sending`. */
  readonly token: string
  readonly desired: Profile | null
  /** Of what state desires, which is more than what is sent where the breaker holds a loss. */
  readonly desiredHash: string | null
  /** Its loss is not sent: held by the breaker, or rejected. */
  readonly held: boolean
  /** It deletes the user or empties a channel, and nobody has decided of that: `mayLose` is asked before each request. */
  readonly loses: boolean
  /** The user is deleted, whatever the policy says. */
  readonly erase: boolean
  readonly synced: Profile | null
  readonly syncedHash: string | null
  /** Attempts before this one whose outcome is not certain. */
  readonly unclear: readonly Attempt[]
  readonly attempts: number
  /** Since when it fails by trouble of its own (retry.ts), milliseconds since 1970; null: it does not. */
  readonly failingSince: number | null
  /** When the oldest change that is not accepted was committed, milliseconds since 1970. */
  readonly pendingSince: number
}

export interface AttemptRecord {
  readonly claim: Claim
  /** What SuprSend now certainly holds of ours. */
  readonly synced: Profile | null
  readonly syncedHash: string | null
  readonly unclear: readonly Attempt[]
  readonly attempts: number
  /** With `keys`: `synced` is what is desired without what was refused of them. */
  readonly failure: Failure | null
  readonly failingSince: number | null
  /** When to try again; null: nothing more to do for this target (accepted, or set aside). */
  readonly retryInMs: number | null
}

export interface ClaimOptions {
  /** Those of this sender. */
  readonly buckets: readonly number[]
  readonly limit: number
  /** 0: live edits, 1: backfill. */
  readonly lane: 0 | 1
  /** Made by the caller, who can then give back a claim whose answer was lost. */
  readonly token: string
}

export interface Claimed {
  readonly claims: readonly Claim[]
  /** There may be more of the kind: a bucket gave as many as it was asked for. */
  readonly more: boolean
}

/** Of one sender. */
export interface DeliveryState {
  /**
   * Of each bucket the oldest due first; never one that this sender has in flight, nor one of a transaction that is stored only in part.
   * Whom a sender that is gone had in flight waits first, as after any unclear outcome.
   */
  claim(options: ClaimOptions): Promise<Claimed>
  /** Whether the loss of this claim may still be sent: the breaker may have opened while it waited for its turn. */
  mayLose(claim: Claim): Promise<boolean>
  /** @returns the ids that were no longer this sender's, of which nothing was recorded. */
  record(records: readonly AttemptRecord[]): Promise<readonly string[]>
  /** Gives back claims for which no request has left. */
  release(claims: readonly Claim[]): Promise<void>
  /** Gives back what the claims of these tokens took although their answers were lost; their targets stay unclear. None of them can still do anything then. */
  abandon(tokens: readonly string[]): Promise<void>
  /** Milliseconds until the next user of these buckets is due (0: now), null when none waits. */
  nextDueInMs(buckets: readonly number[]): Promise<number | null>
}

export interface ProfileSink {
  /**
   * Never rejects for what networks and servers do: that is an Answer.
   * @param mayLeave asked when the request is about to be written; false: it is not, and was aborted.
   */
  send(distinctId: string, request: ApiRequest, signal: AbortSignal, mayLeave: () => boolean): Promise<Answer>
}
