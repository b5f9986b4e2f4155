// Scripted faults as values: their shapes, checked at the control API's edge, and the list they wait in. Owns which fault
// meets which request and how often; what a fault does to a connection is in exchange.ts and user-api.ts.
import { z } from 'zod'

const statusSchema = z.int().min(200).max(599)
/** Absent: `{"code", "message"}`, or for 401 the API's plain text. A string goes out as text, all else as JSON. */
const bodySchema = z.json().optional()

const actionSchema = z.discriminatedUnion('kind', [
  /** Answers without applying. `retryAfter`: seconds, or the text of the header as it is (an HTTP date). */
  z.strictObject({
    kind: z.literal('status'),
    status: statusSchema,
    body: bodySchema,
    retryAfter: z.union([z.number(), z.string()]).optional(),
  }),
  /** Applies, then answers this instead of the truth. */
  z.strictObject({ kind: z.literal('apply_then_status'), status: statusSchema, body: bodySchema }),
  /** Resets the connection (RST); nothing is applied. */
  z.strictObject({ kind: z.literal('reset') }),
  /** Applies, then closes the connection without an answer. */
  z.strictObject({ kind: z.literal('apply_then_drop') }),
  /**
   * No answer until released or the client leaves. Applied at once (`before`, the default), when the waiting ends, even
   * by the client's leaving (`after`), or not at all (`never`: a release then closes the connection).
   */
  z.strictObject({ kind: z.literal('hold'), apply: z.enum(['before', 'after', 'never']).default('before') }),
  /** Waits, then goes on as usual, unless the client has left: then nothing is applied, as with a cancelled context. */
  z.strictObject({ kind: z.literal('delay'), ms: z.number().min(0).max(3_600_000) }),
  /** Applies, then a 2xx whose body is no user: HTML, nothing, or `sizeBytes` of JSON text that never ends well. */
  z.strictObject({
    kind: z.literal('garbage'),
    body: z.enum(['html', 'empty', 'huge']),
    status: statusSchema.default(200),
    sizeBytes: z.int().min(1).max(1_073_741_824).default(16_777_216),
  }),
])

export const faultSchema = z.strictObject({
  /** An exact distinct_id, or `*` for every user. */
  user: z.string().min(1),
  method: z.enum(['GET', 'POST', 'PATCH', 'DELETE']).optional(),
  /** How many requests it meets; null = all, until cleared. */
  times: z.int().min(1).nullable().default(1),
  action: actionSchema,
})

export type FaultAction = z.infer<typeof actionSchema>
/** What a caller gives; defaults may be left out. */
export type FaultInput = z.input<typeof faultSchema>
export type Fault = z.infer<typeof faultSchema>

/** Faults in the order they were added; the first that fits a request meets it. */
export class FaultList {
  #waiting: { readonly fault: Fault; left: number }[] = []

  add(input: FaultInput): void {
    const fault = faultSchema.parse(input)
    this.#waiting.push({ fault, left: fault.times ?? Number.POSITIVE_INFINITY })
  }

  clear(): void {
    this.#waiting = []
  }

  /** The action that meets this request, counted as used; null when none does. */
  take(distinctId: string, method: string): FaultAction | null {
    if (this.#waiting.length === 0) return null
    const entry = this.#waiting.find(
      ({ fault }) =>
        (fault.user === '*' || fault.user === distinctId) && (fault.method === undefined || fault.method === method),
    )
    if (entry === undefined) return null
    entry.left -= 1
    if (entry.left === 0) this.#waiting = this.#waiting.filter((other) => other !== entry)
    return entry.fault.action
  }
}

/** What a random failure (`failureRate`) may be: the outcomes a client must tell apart, applied and not. */
const RANDOM_FAILURES: readonly FaultAction[] = [
  { kind: 'status', status: 500 },
  { kind: 'status', status: 503, body: '<html><body>503 Service Unavailable</body></html>' },
  { kind: 'reset' },
  { kind: 'apply_then_drop' },
  { kind: 'apply_then_status', status: 502 },
]

/** A random number generator (mulberry32) that turns a rate into failures: the same seed gives the same failures. */
export class RandomFailures {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  draw(rate: number): FaultAction | null {
    if (rate <= 0 || this.#next() >= rate) return null
    return RANDOM_FAILURES[Math.floor(this.#next() * RANDOM_FAILURES.length)] ?? null
  }

  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
