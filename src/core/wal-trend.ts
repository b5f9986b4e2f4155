// How fast WAL grows, and how long the slot may yet fall behind before the server gives it up. Pure.
import type { SlotReport } from './status-report.ts'

export interface WalSample {
  readonly atMs: number
  /** The server's newest position, in bytes; null: not known. */
  readonly newest: bigint | null
}

export function walSample({ confirmedLsn, lagBytes }: SlotReport, atMs: number): WalSample {
  return {
    atMs,
    newest: confirmedLsn === null || lagBytes === null ? null : confirmedLsn + BigInt(Math.max(0, lagBytes)),
  }
}

/** Bytes a second between the first and the last of the samples; null: too little is known. */
export function walRate(samples: readonly WalSample[]): number | null {
  const known = samples.filter(({ newest }) => newest !== null)
  const [first, last] = [known[0], known.at(-1)]
  if (first === undefined || last === undefined || last.atMs - first.atMs < 1_000) return null
  return (Number((last.newest ?? 0n) - (first.newest ?? 0n)) / (last.atMs - first.atMs)) * 1_000
}

/** If nothing more were confirmed and WAL went on to grow like this; null: never, or not known. */
export function invalidatedInMs({ safeWalBytes }: SlotReport, rate: number | null): number | null {
  if (safeWalBytes === null || rate === null || rate <= 0) return null
  return Math.max(0, Math.round((safeWalBytes / rate) * 1_000))
}
