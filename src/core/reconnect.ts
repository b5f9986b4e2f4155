// How long to wait before connecting to a database again, by cause (docs/errors.md): a wrong password tried in a loop gets
// hosts banned, while a restarted server should be found again at once.

const START_MS = 100
const MINUTE_MS = 60_000

export interface ReconnectInput {
  /** SQLSTATE, system error code or our own; undefined when there is none. */
  readonly code: string | undefined
  /** Failures in a row, this one included. */
  readonly failures: number
  /** Since the first of them. */
  readonly downMs: number
  /** 0 ≤ random < 1 */
  readonly random: number
}

export function reconnectDelayMs({ code, failures, downMs, random }: ReconnectInput): number {
  const ceiling = Math.min(capMs(code, downMs), START_MS * 2 ** Math.min(failures - 1, 24))
  return Math.round(ceiling * (0.5 + random / 2))
}

function capMs(code: string | undefined, downMs: number): number {
  switch (code) {
    case '28P01':
    case '28000':
      return 15 * MINUTE_MS
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 30_000
    default:
      return downMs < 2 * MINUTE_MS ? 2_000 : 30_000
  }
}
