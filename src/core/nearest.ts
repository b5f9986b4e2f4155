// The known name closest to one that was mistyped, for messages: "did you mean …?".

/** The nearest of `known` by edit distance, case ignored; null when none is near enough to be meant. */
export function nearest(name: string, known: Iterable<string>): string | null {
  const wanted = name.toLowerCase()
  let best: string | null = null
  // A third of the letters may be wrong, and two in five for a swapped pair: `emial` finds `email`, `nope` not `type`.
  let bestDistance = (wanted.length < 5 ? 1 : Math.max(2, Math.floor(wanted.length / 3))) + 1
  for (const candidate of known) {
    const distance = editDistance(wanted, candidate.toLowerCase(), bestDistance)
    if (distance < bestDistance && distance < Math.max(wanted.length, candidate.length)) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** ` (did you mean "email"?)`, or nothing. */
export function suggestion(name: string, known: Iterable<string>): string {
  const match = nearest(name, known)
  return match === null ? '' : ` (did you mean "${match}"?)`
}

/** Levenshtein distance; any number from `limit` on means "too far". */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      current.push(Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, substitution))
    }
    previous = current
  }
  return previous[b.length] ?? limit
}
