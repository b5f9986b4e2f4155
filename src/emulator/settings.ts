// How the emulator behaves for everybody: the readings of what is undocumented, the key, and the weather. Given at the
// start, changed while it runs.
import { z } from 'zod'

// Without zod's defaults: in a partial change they would silently undo what was set before.
const settingsSchema = z.strictObject({
  /** What POST does with the values a user already has. */
  postReading: z.enum(['append', 'replace']),
  /** What PATCH does for a user that does not exist. */
  patchMissing: z.enum(['create', 'not_found']),
  /** What a request leaves that is answered 400 for one of its values. */
  refusalReading: z.enum(['nothing', 'stored']),
  /** Which values `$remove` takes: any, or those that `$append` takes. */
  removalReading: z.enum(['any', 'valid']),
  /** Channel values that are refused by name although they are well-formed. */
  refusedValues: z.array(z.string().min(1)).max(1_000).readonly(),
  /** The Bearer key to be presented; null accepts any that is not empty. */
  apiKey: z.string().min(1).nullable(),
  /** Answers 401 to everybody, as with a revoked key. */
  unauthorized: z.boolean(),
  /** Delays every answer; the request is applied when it arrives. */
  latencyMs: z.number().min(0).max(600_000),
  /** Share of requests that fail, 0 to 1, drawn from `failureSeed`. */
  failureRate: z.number().min(0).max(1),
  failureSeed: z.int(),
  /** Requests in one second beyond which 429 is answered; null = no limit. */
  rateLimit: z.int().min(1).nullable(),
  /** Largest POST or PATCH body; null = only the 800 KB of every SuprSend endpoint. 10240 is the limit of one event. */
  bodyLimitBytes: z.int().min(1).nullable(),
})

export const settingsChangeSchema = settingsSchema.partial()

export type Settings = Readonly<z.infer<typeof settingsSchema>>
export type SettingsChange = Readonly<z.infer<typeof settingsChangeSchema>>

export const DEFAULT_SETTINGS: Settings = {
  postReading: 'append',
  patchMissing: 'create',
  refusalReading: 'nothing',
  removalReading: 'any',
  refusedValues: [],
  apiKey: null,
  unauthorized: false,
  latencyMs: 0,
  failureRate: 0,
  failureSeed: 1,
  rateLimit: null,
  bodyLimitBytes: null,
}

/** Throws a ZodError for a value that is none. */
export function changedSettings(settings: Settings, change: SettingsChange): Settings {
  const named = Object.entries(change).filter(([, value]) => value !== undefined)
  return Object.freeze(settingsSchema.parse({ ...settings, ...Object.fromEntries(named) }))
}
