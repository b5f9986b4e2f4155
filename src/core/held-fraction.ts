// Which part of the deployment one sender holds, and since when, as a value and its transition. Guarantees that what is
// `counted` is at no moment more than what was held at every moment of the second before: then no window of one second can
// hold more than what all senders together held at its first moment, which is one whole at most (proof: countedAt).

export interface Held {
  /** What is held now: 0 = nothing, 1 = the whole deployment. */
  readonly fraction: number
  readonly counted: number
  /** Gains that do not count yet; both fields rise from each to the next. */
  readonly gains: readonly Gain[]
}

interface Gain {
  readonly fraction: number
  readonly countsAtMs: number
}

/** Who had that share before us may have used it until now: a second from now none of it is in any window with ours. */
const GAIN_COUNTS_AFTER_MS = 1_000

export const HOLDS_NOTHING: Held = { fraction: 0, counted: 0, gains: [] }

/**
 * @param settled nobody can have used the gain within the last second (a start, with nobody before us): it counts at once.
 */
export function held(before: Held, fraction: number, nowMs: number, { settled }: { readonly settled: boolean }): Held {
  const now = countedAt(before, nowMs)
  if (settled) return { fraction, counted: fraction, gains: [] }
  if (fraction <= now.fraction) {
    // A loss counts at once, and takes the gains above it with it: what comes back later begins its second anew.
    const gains = now.gains.filter((gain) => gain.fraction < fraction)
    const [cut] = now.gains.slice(gains.length)
    return {
      fraction,
      counted: Math.min(now.counted, fraction),
      gains: cut === undefined || fraction <= now.counted ? gains : [...gains, { ...cut, fraction }],
    }
  }
  return { ...now, fraction, gains: [...now.gains, { fraction, countsAtMs: nowMs + GAIN_COUNTS_AFTER_MS }] }
}

/**
 * `counted` = the least that was held within [now − 1 s, now]. Within a window [w, w + 1 s) each moment has w in its last
 * second, so that nobody's counted fraction is there above what that sender held at w.
 */
export function countedAt(state: Held, nowMs: number): Held {
  const [first] = state.gains
  if (first === undefined || first.countsAtMs > nowMs) return state
  const gains = state.gains.filter(({ countsAtMs }) => countsAtMs > nowMs)
  const counted = state.gains[state.gains.length - gains.length - 1]?.fraction ?? state.counted
  return { ...state, counted, gains }
}

/** How long until more counts; null: nothing is to come. */
export function nextGainMs({ gains }: Held, nowMs: number): number | null {
  const [first] = gains
  return first === undefined ? null : Math.max(0, first.countsAtMs - nowMs)
}
