// What other senders have met, as it is seen from time to time, reduced to what has changed since. Pure.
import type { HostNews } from './host-state.ts'

/** `forMs` of both counts from when they were seen: what is as it was has become less. */
export function newsSince(before: readonly HostNews[], now: readonly HostNews[]): readonly HostNews[] {
  const [was, is] = [longest(before), longest(now)]
  const [wasRefused, isRefused] = [isAbout(before), isAbout(now)]
  return [
    ...(is > was ? [{ kind: 'throttled', forMs: is } as const] : []),
    ...(isRefused && !wasRefused ? [{ kind: 'unauthorized' } as const] : []),
    ...(wasRefused && !isRefused ? [{ kind: 'open' } as const] : []),
  ]
}

function longest(news: readonly HostNews[]): number {
  return Math.max(0, ...news.map((each) => (each.kind === 'throttled' ? each.forMs : 0)))
}

function isAbout(news: readonly HostNews[]): boolean {
  return news.some(({ kind }) => kind === 'unauthorized')
}
