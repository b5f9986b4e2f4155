// The configuration as the rest of the program sees it: parsed once, fully resolved, frozen. load.ts makes it.
import type { BreakerSettings } from '../core/breaker.ts'
import type { LogLevel } from '../core/logger.ts'
import type { MappingSpec } from '../core/mapping-spec.ts'
import type { Recovery } from '../core/start-decision.ts'
import type { Secret } from './secret.ts'

export interface Config {
  /** Path of the file as it was given. */
  readonly file: string
  readonly source: SourceConfig
  readonly state: StateConfig
  readonly suprsend: SuprsendConfig
  /** null = `off`. */
  readonly http: HttpConfig | null
  readonly mapping: MappingSpec
  /** Where each key of the file stands, `profile.$email` at `9:12`. */
  readonly places: ReadonlyMap<string, string>
  /** By fingerprint: the texts that stand behind the references in the mapping's constants. */
  readonly mappingSecrets: ReadonlyMap<string, Secret>
  readonly backfill: { /** null = no limit of ours. */ readonly maxRowsPerSecond: number | null }
  /** How many users the running service compares with SuprSend; null = `off`. */
  readonly reconcile: { readonly usersPerHour: number | null }
  /** A sender that has made no step for so long is ended by another one. */
  readonly delivery: { readonly stuckAfterMs: number }
  /** What is done about changes that may have been missed. */
  readonly recovery: Recovery
  readonly safety: {
    /** null = `off`. */
    readonly breaker: BreakerSettings | null
    /** Above it the slot is dropped; null = never. */
    readonly maxRetainedWalBytes: number | null
  }
  readonly shutdownTimeoutMs: number
  readonly log: { readonly level: LogLevel }
}

export interface SourceConfig {
  readonly url: Secret
  /** Exact catalogue names. */
  readonly table: TableName
  readonly slot: string
  readonly publication: string
  /** Whether a missing publication and slot may be created. */
  readonly create: boolean
}

export interface TableName {
  readonly schema: string
  readonly name: string
}

export interface StateConfig {
  readonly url: Secret
  readonly schema: string
}

export interface SuprsendConfig {
  readonly apiKey: Secret
  /** Absolute path of the file that it was read from; null: it stands in the configuration. */
  readonly apiKeyFile: string | null
  /** http(s), without a trailing slash. */
  readonly baseUrl: string
  readonly firstContact: FirstContact
  readonly maxInFlight: number
  /** null = no limit of ours. */
  readonly maxRequestsPerSecond: number | null
  /** Whom SuprSend fails for so long, and nobody else, is set aside; null: never. */
  readonly giveUpAfterMs: number | null
  readonly connectTimeoutMs: number
  readonly headersTimeoutMs: number
  readonly bodyTimeoutMs: number
}

export interface HttpConfig {
  readonly host: string
  /** 0 = any free port. */
  readonly port: number
}

/** How a user is told to SuprSend for the first time: POST, or PATCH and POST only on 404 (DESIGN §7.3). */
export const FIRST_CONTACTS = ['upsert', 'edit'] as const
export type FirstContact = (typeof FIRST_CONTACTS)[number]
