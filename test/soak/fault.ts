// What a chaos run is made of: the processes, what they are connected to, and all that may happen to either, as values.

export type Role = 'capture' | 'deliver'
export const PROCESSES = ['capture 1', 'capture 2', 'sender 1', 'sender 2', 'sender 3'] as const
export type ProcessName = (typeof PROCESSES)[number]
export const LINKS = ['source', 'state', 'suprsend'] as const
export type Link = (typeof LINKS)[number]
export const SERVERS = ['source', 'state'] as const
export type Server = (typeof SERVERS)[number]
export type Sessions = 'suprsync' | 'suprsync state' | 'suprsync locks' | 'all'

/** How SuprSend is for everybody, for a while. */
export type Weather =
  | { readonly kind: 'failing'; readonly rate: number }
  | { readonly kind: 'slow'; readonly latencyMs: number }
  | { readonly kind: 'limited'; readonly perSecond: number }
  /** So many requests meet a 429 with Retry-After. */
  | { readonly kind: 'throttling'; readonly requests: number; readonly retryAfterS: number }
  /** So many requests are applied and answered by what is no user. */
  | { readonly kind: 'garbled'; readonly requests: number }
  /** So many requests are applied and not answered before the end. */
  | { readonly kind: 'silent'; readonly requests: number }
  | { readonly kind: 'unauthorized' }
  | { readonly kind: 'away' }

export type Fault =
  /** SIGKILL; started again in the end. */
  | { readonly kind: 'kill'; readonly process: ProcessName }
  /** SIGSTOP, in the end SIGCONT. */
  | { readonly kind: 'freeze'; readonly process: ProcessName }
  /** SIGTERM; started again when it has ended, and not before the end. */
  | { readonly kind: 'deploy'; readonly process: ProcessName }
  | {
      readonly kind: 'network'
      readonly link: Link
      readonly processes: readonly ProcessName[]
      readonly how: 'refused' | 'stalled' | 'held' | 'to_server' | 'to_client'
    }
  | { readonly kind: 'cut'; readonly link: Link; readonly processes: readonly ProcessName[] }
  /** `pg_terminate_backend`. */
  | { readonly kind: 'terminate'; readonly server: Server; readonly sessions: Sessions }
  /** Stopped, in the end started. */
  | { readonly kind: 'restart'; readonly server: Server; readonly mode: 'fast' | 'immediate' }
  | { readonly kind: 'weather'; readonly weather: Weather }

export interface PlannedFault {
  readonly atMs: number
  /** The same as `atMs` for what has no duration. */
  readonly untilMs: number
  readonly fault: Fault
}

export interface Plan {
  readonly seed: number
  readonly stormMs: number
  readonly postReading: 'append' | 'replace'
  readonly patchMissing: 'create' | 'not_found'
  readonly firstContact: 'upsert' | 'edit'
  /** Requests a second, of all senders together. */
  readonly ratePerSecond: number
  /** Share of requests that fail whatever the weather. */
  readonly failureRate: number
  /** Of an answer, in ordinary weather. */
  readonly latencyMs: number
  readonly faults: readonly PlannedFault[]
  /** When nothing (but one long freeze) is disturbed. */
  readonly calm: readonly { readonly fromMs: number; readonly toMs: number }[]
}
