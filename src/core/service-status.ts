// What the service is doing, as one value: what readiness and the log are derived from. Pure.
import type { OpenBreaker } from './breaker.ts'
import type { HostState } from './host-state.ts'

export type CaptureStatus =
  /** Not this process's part (`run --role deliver`). */
  | { readonly kind: 'off' }
  | { readonly kind: 'starting' }
  /** Another process captures; this one is ready to take over. */
  | { readonly kind: 'standby' }
  | { readonly kind: 'streaming' }
  /** Not capturing: tried again by itself, or (a code that no retry mends) until the operator acts. */
  | { readonly kind: 'broken'; readonly code: string; readonly message: string }

export type DeliveryStatus =
  /** Not this process's part (`run --role capture`). */
  | { readonly kind: 'off' }
  | { readonly kind: 'starting' }
  /** Others own every bucket, or have the share of this one until they give it up. */
  | { readonly kind: 'standby' }
  | { readonly kind: 'sending'; readonly buckets: number }
  /** Its loops have not gone round for so long. */
  | { readonly kind: 'stuck'; readonly silentMs: number }
  | { readonly kind: 'broken'; readonly code: string; readonly message: string }

export interface ServiceStatus {
  readonly capture: CaptureStatus
  readonly delivery: DeliveryStatus
  readonly host: HostState['kind']
  /** null: closed, or not known yet. */
  readonly breaker: OpenBreaker | null
  /** null: not known. */
  readonly wal: {
    readonly level: 'enough' | 'low' | 'spent'
    readonly invalidatedInMs: number | null
    readonly pagesWait: boolean
    /** Why the slot is not dropped although it costs more than `safety.max_retained_wal`; null: it does not. */
    readonly leftBecause: string | null
  } | null
}

/** What a part of the process does, in one word. */
export type PartState = 'off' | 'starting' | 'active' | 'standby' | 'stuck'

export interface Readiness {
  readonly ready: boolean
  readonly capture: PartState
  readonly delivery: PartState
  readonly reasons: readonly { readonly code: string; readonly message: string }[]
  /** What does not keep it from being ready yet. */
  readonly warnings: readonly { readonly code: string; readonly message: string }[]
}

export function readinessOf(status: ServiceStatus): Readiness {
  const reasons: { code: string; message: string }[] = []
  switch (status.capture.kind) {
    case 'starting':
      reasons.push({ code: 'starting', message: 'Capture has not begun yet.' })
      break
    case 'broken':
      reasons.push({ code: status.capture.code, message: status.capture.message })
      break
    case 'off':
    case 'standby':
    case 'streaming':
  }
  // One trouble of both is said once.
  const said = new Set(reasons.map(({ code }) => code))
  reasons.push(...deliveryReasons(status.delivery).filter(({ code }) => !said.has(code)))
  if (status.host === 'unauthorized') {
    reasons.push({
      code: 'api_key_rejected',
      message: 'SuprSend refuses the API key: nothing is sent until it is right. Changes are still captured.',
    })
  }
  if (status.breaker !== null) {
    reasons.push({
      code: 'breaker_open',
      message:
        'The circuit breaker holds deletions and emptied channels until `suprsync approve` or `suprsync reject`. Everything else is sent.',
    })
  }
  return {
    ready: reasons.length === 0,
    capture: PART_STATES[status.capture.kind],
    delivery: PART_STATES[status.delivery.kind],
    reasons,
    warnings: walWarnings(status.wal),
  }
}

const PART_STATES: Readonly<Record<CaptureStatus['kind'] | DeliveryStatus['kind'], PartState>> = {
  off: 'off',
  starting: 'starting',
  standby: 'standby',
  streaming: 'active',
  sending: 'active',
  stuck: 'stuck',
  broken: 'stuck',
}

function deliveryReasons(delivery: DeliveryStatus): Readiness['reasons'] {
  switch (delivery.kind) {
    case 'starting':
      return [{ code: 'starting', message: 'Delivery has not begun yet.' }]
    case 'broken':
      return [{ code: delivery.code, message: delivery.message }]
    case 'stuck': {
      const seconds = Math.round(delivery.silentMs / 1000)
      return [{ code: 'delivery_stuck', message: `Delivery has made no step for ${seconds} s; others take its users.` }]
    }
    case 'off':
    case 'standby':
    case 'sending':
      return []
  }
}

function walWarnings(wal: ServiceStatus['wal']): Readiness['warnings'] {
  if (wal === null) return []
  const warnings: { code: string; message: string }[] = []
  if (wal.level !== 'enough') warnings.push({ code: 'wal_budget_low', message: budgetMessage(wal) })
  if (wal.pagesWait) {
    const message =
      'The reading of rows waits until the server lets go of WAL: else what it writes would cost the slot.'
    warnings.push({ code: 'pages_wait_for_wal', message })
  }
  if (wal.leftBecause !== null) {
    const message = `The server keeps more WAL for the slot than safety.max_retained_wal allows, and the slot is left: ${wal.leftBecause}.`
    warnings.push({ code: 'max_retained_wal', message })
  }
  return warnings
}

function budgetMessage({ level, invalidatedInMs }: NonNullable<ServiceStatus['wal']>): string {
  if (level === 'spent') return 'The slot has used up max_slot_wal_keep_size: the server may give it up at any moment.'
  const when =
    invalidatedInMs === null ? '' : ` At this rate that is in about ${Math.ceil(invalidatedInMs / 60_000)} minutes.`
  return `Little is left of max_slot_wal_keep_size before the server gives the slot up.${when}`
}
