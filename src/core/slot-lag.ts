// What the slot's figures mean. Pure.
import type { SlotReport } from './status-report.ts'

/** Between two reports of the newest WAL position capture may lag by this much and be idle (checkpoint-policy.ts). */
function isIdleLag(slot: Pick<SlotReport, 'activePid' | 'lagBytes' | 'segmentBytes'>): boolean {
  return slot.activePid !== null && (slot.lagBytes ?? 0) < slot.segmentBytes
}

/** What was committed some seconds ago is in the state. */
export function isCaughtUp(slot: SlotReport | null): boolean {
  return slot !== null && slot.lagBytes !== null && isIdleLag(slot)
}

/**
 * How long the checkpoint has stood still although WAL waits for it: 0 while it moves or has nothing to do. An idle capture
 * moves it only when that frees a WAL segment, so less than one says nothing as long as somebody streams.
 */
export function slotLagMs(slot: SlotReport, sinceAdvancedMs: number): number {
  if (slot.lagBytes === null || slot.lagBytes <= 0 || isIdleLag(slot)) return 0
  return Math.max(0, sinceAdvancedMs)
}

/** As if the server itself kept no more than this; null: as much as it says. */
export function withLimit(slot: SlotReport, maxRetainedBytes: number | null): SlotReport {
  if (maxRetainedBytes === null || slot.retainedWalBytes === null) return slot
  const left = maxRetainedBytes - slot.retainedWalBytes
  return { ...slot, safeWalBytes: slot.safeWalBytes === null ? left : Math.min(slot.safeWalBytes, left) }
}

/** `spent`: the next checkpoint of the server may invalidate the slot. `low`: under a quarter of the budget is left. */
export function walBudget(slot: SlotReport): 'enough' | 'low' | 'spent' {
  if (slot.walStatus === 'unreserved') return 'spent'
  if (slot.safeWalBytes === null || slot.retainedWalBytes === null) return 'enough'
  if (slot.safeWalBytes <= 0) return 'spent'
  return slot.safeWalBytes * 3 < slot.retainedWalBytes ? 'low' : 'enough'
}

/** Of a fast disk what is written in some seconds: so much has to be left for nobody to look before each page. */
const AMPLE_BYTES = 256 << 20

/** Whether an answer of the server to how much is left holds for a while. */
export function isAmple({ safeWalBytes }: Pick<SlotReport, 'safeWalBytes'>): boolean {
  return safeWalBytes === null || safeWalBytes > AMPLE_BYTES
}
