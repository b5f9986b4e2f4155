// The plan of a chaos run: which fault begins and ends when, drawn from a seed. Pure: the same seed and length make the same
// plan. Guarantees: faults are in order and each ends; they come in rounds, and each round ends in a calm part, in which nothing is
// disturbed but at most one process that is frozen for long, and in the last nothing at all. What contradicts each other does
// not overlap (`clash`): nobody kills a frozen process, and no request stays in a network where its frozen sender cannot give it up.
import { seededRandom } from '../support/workload.ts'

export type Role = 'capture' | 'deliver'
export const PROCESSES = ['capture 1', 'capture 2', 'sender 1', 'sender 2', 'sender 3'] as const
export type ProcessName = (typeof PROCESSES)[number]
export const LINKS = ['source', 'state', 'suprsend'] as const
export type Link = (typeof LINKS)[number]
export const SERVERS = ['source', 'state'] as const
export type Server = (typeof SERVERS)[number]
export type Sessions = 'suprsync' | 'suprsync state' | 'suprsync locks' | 'all'

/** How SuprSend is for everybody, for a while. */
export type Weather =
  | { readonly kind: 'failing'; readonly rate: number }
  | { readonly kind: 'slow'; readonly latencyMs: number }
  | { readonly kind: 'limited'; readonly perSecond: number }
  /** So many requests meet a 429 with Retry-After. */
  | { readonly kind: 'throttling'; readonly requests: number; readonly retryAfterS: number }
  /** So many requests are applied and answered by what is no user. */
  | { readonly kind: 'garbled'; readonly requests: number }
  | { readonly kind: 'unauthorized' }
  | { readonly kind: 'away' }

export type Fault =
  /** SIGKILL; started again in the end. */
  | { readonly kind: 'kill'; readonly process: ProcessName }
  /** SIGSTOP, in the end SIGCONT. */
  | { readonly kind: 'freeze'; readonly process: ProcessName }
  /** SIGTERM; started again when it has ended, and not before the end. */
  | { readonly kind: 'deploy'; readonly process: ProcessName }
  | {
      readonly kind: 'network'
      readonly link: Link
      readonly processes: readonly ProcessName[]
      readonly how: 'refused' | 'stalled' | 'held' | 'to_server' | 'to_client'
    }
  | { readonly kind: 'cut'; readonly link: Link; readonly processes: readonly ProcessName[] }
  /** `pg_terminate_backend`. */
  | { readonly kind: 'terminate'; readonly server: Server; readonly sessions: Sessions }
  /** Stopped, in the end started. */
  | { readonly kind: 'restart'; readonly server: Server; readonly mode: 'fast' | 'immediate' }
  | { readonly kind: 'weather'; readonly weather: Weather }

export interface PlannedFault {
  readonly atMs: number
  /** The same as `atMs` for what has no duration. */
  readonly untilMs: number
  readonly fault: Fault
}

export interface Plan {
  readonly seed: number
  readonly stormMs: number
  readonly postReading: 'append' | 'replace'
  readonly patchMissing: 'create' | 'not_found'
  readonly firstContact: 'upsert' | 'edit'
  /** Requests a second, of all senders together. */
  readonly ratePerSecond: number
  /** Share of requests that fail whatever the weather. */
  readonly failureRate: number
  readonly faults: readonly PlannedFault[]
  /** When nothing (but one long freeze) is disturbed. */
  readonly calm: readonly { readonly fromMs: number; readonly toMs: number }[]
}

const ROUND_MS = 20_000
const CALM_MS = 5_000
const FAULTS_A_ROUND = 9
/** Two faults of one place have at least this between them. */
const MARGIN_MS = 300
/** A connection that lost one direction without a word is given up by our own watchdogs after half a minute at most. */
const SILENT_MS = 40_000
/** Longer than a sender may stand still before another one ends its session. */
const LONG_FREEZE_MS = 62_000

export function makePlan(seed: number, minutes: number): Plan {
  const random = seededRandom(seed)
  const rounds = Math.max(1, Math.round((minutes * 60_000) / ROUND_MS))
  const stormMs = rounds * ROUND_MS
  const drawing = new Drawing(random, stormMs)
  const head = {
    seed,
    stormMs,
    postReading: drawing.oneOf(['append', 'replace'] as const),
    patchMissing: drawing.oneOf(['create', 'not_found'] as const),
    firstContact: drawing.oneOf(['upsert', 'edit'] as const),
    ratePerSecond: drawing.oneOf([40, 80, 150]),
    failureRate: 0.01,
  }
  const calm: { fromMs: number; toMs: number }[] = []
  const faults: PlannedFault[] = []
  const add = (planned: PlannedFault) => {
    if (!faults.some((other) => clash(planned, other))) faults.push(planned)
  }
  for (let round = 0; round < rounds; round += 1) {
    const fromMs = round * ROUND_MS
    const toMs = fromMs + ROUND_MS - CALM_MS
    calm.push({ fromMs: toMs, toMs: fromMs + ROUND_MS })
    const long = drawing.longFreeze(fromMs)
    if (long !== null) add(long)
    for (let turn = 0; turn < FAULTS_A_ROUND; turn += 1) add(drawing.fault(fromMs, toMs))
  }
  faults.sort((a, b) => a.atMs - b.atMs)
  return { ...head, faults, calm }
}

type Kind = Fault['kind']
const WEIGHTS: readonly (readonly [Kind, number])[] = [
  ...([['kill', 4] as const, ['freeze', 4] as const, ['deploy', 2] as const, ['network', 6] as const] as const),
  ...([['cut', 2] as const, ['terminate', 3] as const, ['restart', 2] as const, ['weather', 5] as const] as const),
]

class Drawing {
  readonly #random: () => number
  readonly #stormMs: number

  constructor(random: () => number, stormMs: number) {
    this.#random = random
    this.#stormMs = stormMs
  }

  oneOf<T>(items: readonly [T, ...T[]] | readonly T[]): T {
    const item = items[Math.floor(this.#random() * items.length)]
    if (item === undefined) throw new Error('nothing to draw from')
    return item
  }

  between(least: number, most: number): number {
    return Math.round(least + this.#random() * (most - least))
  }

  /** Seldom, one process that is frozen until well into a later round, and no longer than the last round begins. */
  longFreeze(fromMs: number): PlannedFault | null {
    const drawn = this.#random() < 0.3
    const process = this.oneOf(PROCESSES)
    const atMs = fromMs + this.between(1_000, 8_000)
    const untilMs = atMs + LONG_FREEZE_MS + this.between(0, 12_000)
    return drawn && untilMs < this.#stormMs - ROUND_MS ? { atMs, untilMs, fault: { kind: 'freeze', process } } : null
  }

  /** One that is over at `toMs`. */
  fault(fromMs: number, toMs: number): PlannedFault {
    const atMs = this.between(fromMs, toMs - 1_000)
    const { fault, mostMs } = this.#fault(this.#kind(), this.#stormMs - toMs)
    const untilMs = mostMs === 0 ? atMs : Math.min(toMs, atMs + this.between(Math.min(500, mostMs), mostMs))
    return { atMs, untilMs, fault }
  }

  #kind(): Kind {
    const all = WEIGHTS.reduce((sum, [, weight]) => sum + weight, 0)
    let left = this.#random() * all
    for (const [kind, weight] of WEIGHTS) {
      left -= weight
      if (left < 0) return kind
    }
    return 'kill'
  }

  #fault(kind: Kind, leftMs: number): { readonly fault: Fault; readonly mostMs: number } {
    switch (kind) {
      case 'kill':
        return { fault: { kind, process: this.oneOf(PROCESSES) }, mostMs: 4_000 }
      case 'freeze':
        return { fault: { kind, process: this.oneOf(PROCESSES) }, mostMs: this.oneOf([2_000, 6_000, 20_000]) }
      case 'deploy':
        return { fault: { kind, process: this.oneOf(PROCESSES) }, mostMs: 2_000 }
      case 'network': {
        const link = this.oneOf(LINKS)
        const how = this.#networkFault(link, leftMs)
        return { fault: { kind, link, processes: this.#someProcesses(), how }, mostMs: 8_000 }
      }
      case 'cut':
        return { fault: { kind, link: this.oneOf(LINKS), processes: this.#someProcesses() }, mostMs: 0 }
      case 'terminate': {
        const server = this.oneOf(SERVERS)
        const names = ['suprsync state', 'suprsync locks', 'all'] as const
        const sessions = server === 'source' ? this.oneOf(['suprsync', 'all'] as const) : this.oneOf(names)
        return { fault: { kind, server, sessions }, mostMs: 0 }
      }
      case 'restart': {
        const mode = this.oneOf(['fast', 'immediate'] as const)
        return { fault: { kind, server: this.oneOf(SERVERS), mode }, mostMs: 3_000 }
      }
      case 'weather':
        return { fault: { kind, weather: this.#weather() }, mostMs: 7_000 }
    }
  }

  /** Bytes that were held are lost with their connection; those of a stalled one may arrive after its end, which no sender can prevent. */
  #networkFault(link: Link, leftMs: number): Extract<Fault, { kind: 'network' }>['how'] {
    if (link === 'suprsend') return this.oneOf(['refused', 'held', 'to_server', 'to_client'] as const)
    const heard = this.oneOf(['refused', 'stalled', 'held'] as const)
    const silent = this.oneOf(['to_server', 'to_client'] as const)
    return this.#random() < 0.3 && leftMs > SILENT_MS ? silent : heard
  }

  #someProcesses(): readonly ProcessName[] {
    const pick = this.oneOf(PROCESSES)
    const group = PROCESSES.filter((name) => name.startsWith(pick.split(' ')[0] ?? ''))
    return this.oneOf([[pick], [pick], group, PROCESSES])
  }

  #weather(): Weather {
    const kinds = [
      (): Weather => ({ kind: 'failing', rate: this.between(5, 40) / 100 }),
      (): Weather => ({ kind: 'slow', latencyMs: this.between(50, 1_500) }),
      (): Weather => ({ kind: 'limited', perSecond: this.between(5, 30) }),
      (): Weather => ({ kind: 'throttling', requests: this.between(1, 6), retryAfterS: this.between(1, 4) }),
      (): Weather => ({ kind: 'garbled', requests: this.between(2, 20) }),
      (): Weather => ({ kind: 'unauthorized' }),
      (): Weather => ({ kind: 'away' }),
    ]
    return this.oneOf(kinds)()
  }
}

/** Whether two faults may not be there at the same time. */
export function clash(one: PlannedFault, other: PlannedFault): boolean {
  const apart = one.untilMs + MARGIN_MS < other.atMs || other.untilMs + MARGIN_MS < one.atMs
  if (!apart && isLong(one) && isLong(other)) return true
  return !apart && (contradict(one.fault, other.fault) || contradict(other.fault, one.fault))
}

function contradict(one: Fault, other: Fault): boolean {
  const process = processOf(one)
  switch (one.kind) {
    case 'kill':
    case 'freeze':
    case 'deploy':
      if (process === processOf(other)) return true
      // Its sender could not take the request back, whose place another one takes when the server ends its session.
      return one.kind === 'freeze' && other.kind === 'network' && isHeldRequest(other) && meets(other, [one.process])
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

function isHeldRequest(fault: Extract<Fault, { kind: 'network' }>): boolean {
  return fault.link === 'suprsend' && fault.how === 'held'
}

function meets(fault: { readonly processes: readonly ProcessName[] }, processes: readonly ProcessName[]): boolean {
  return fault.processes.some((name) => processes.includes(name))
}
