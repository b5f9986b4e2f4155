// Which faults of a chaos run may not be there at the same time: those of one place, and those after which something wrong could not be
// prevented by any sender. A request is such a thing while its process is frozen: it cannot be taken back, and when the server
// gives that process's place to another meanwhile, two of a user are in flight.
import type { Fault, PlannedFault, ProcessName } from './fault.ts'

/** Two faults of one place have at least this between them. */
const MARGIN_MS = 300
/** Longer than a sender may stand still before another one ends its session. */
export const LONG_FREEZE_MS = 62_000
/** An answer. */
export const SLOWEST_MS = 1_500

/** Whether two faults may not be there at the same time. */
export function clash(one: PlannedFault, other: PlannedFault): boolean {
  if (orphans(one, other) || orphans(other, one)) return true
  const apart = one.untilMs + MARGIN_MS < other.atMs || other.untilMs + MARGIN_MS < one.atMs
  if (apart) return false
  return (isLong(one) && isLong(other)) || contradict(one.fault, other.fault) || contradict(other.fault, one.fault)
}

/**
 * Whether a process could be frozen with a request in flight while the server gives its place to another: it cannot take the request
 * back, and nobody can wait for its answer. Later on, its requests have been answered.
 */
function orphans(one: PlannedFault, other: PlannedFault): boolean {
  if (one.fault.kind !== 'freeze' || !endsSession(other.fault, one.fault.process)) return false
  return other.untilMs > one.atMs - 1_000 && other.atMs < one.atMs + SLOWEST_MS * 2
}

function endsSession(fault: Fault, process: ProcessName): boolean {
  if (fault.kind === 'terminate' || fault.kind === 'restart') return fault.server === 'state'
  return (fault.kind === 'network' || fault.kind === 'cut') && fault.link === 'state' && meets(fault, [process])
}

function contradict(one: Fault, other: Fault): boolean {
  const process = processOf(one)
  switch (one.kind) {
    case 'kill':
    case 'freeze':
    case 'deploy':
      if (process === processOf(other)) return true
      // What a network or SuprSend keeps of a frozen sender is kept for as long as that lasts: see `orphans`.
      if (one.kind !== 'freeze') return false
      if (other.kind === 'weather') return other.weather.kind === 'silent'
      return (
        other.kind === 'network' && other.link === 'suprsend' && other.how === 'held' && meets(other, [one.process])
      )
    case 'network':
    case 'cut':
      return (
        (other.kind === 'network' || other.kind === 'cut') && one.link === other.link && meets(other, one.processes)
      )
    case 'terminate':
    case 'restart':
      return other.kind === 'restart' && other.server === one.server
    case 'weather':
      return other.kind === 'weather'
  }
}

function isLong({ atMs, untilMs }: PlannedFault): boolean {
  return untilMs - atMs >= LONG_FREEZE_MS
}

function processOf(fault: Fault): ProcessName | null {
  return fault.kind === 'kill' || fault.kind === 'freeze' || fault.kind === 'deploy' ? fault.process : null
}

function meets(fault: { readonly processes: readonly ProcessName[] }, processes: readonly ProcessName[]): boolean {
  return fault.processes.some((name) => processes.includes(name))
}
