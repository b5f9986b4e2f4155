// The plan of a chaos run: which fault begins and ends when, drawn from a seed. Pure: the same seed and length make the same
// plan. Guarantees: faults are in order and each ends; they come in rounds, and each round ends in a calm part, in which nothing is
// disturbed but at most one process that is frozen for long, and in the last nothing at all. What contradicts each other does
// not overlap (clash.ts).
import { seededRandom } from '../support/workload.ts'
import { clash, LONG_FREEZE_MS, SLOWEST_MS } from './clash.ts'
import {
  type Fault,
  LINKS,
  type Link,
  type Plan,
  type PlannedFault,
  PROCESSES,
  type ProcessName,
  SERVERS,
  type Weather,
} from './fault.ts'

const ROUND_MS = 20_000
const CALM_MS = 5_000
const FAULTS_A_ROUND = 9
/** A connection that lost one direction without a word is given up by our own watchdogs after half a minute at most. */
const SILENT_MS = 40_000

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
    ratePerSecond: drawing.oneOf([60, 120, 240]),
    failureRate: 0.01,
    latencyMs: drawing.oneOf([10, 60, 200]),
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

/** How often each kind is drawn, against the others. */
const WEIGHTS: { readonly [kind in Fault['kind']]: number } = {
  kill: 4,
  freeze: 4,
  deploy: 2,
  network: 6,
  cut: 2,
  terminate: 3,
  restart: 2,
  weather: 5,
}

const KINDS = ['kill', 'freeze', 'deploy', 'network', 'cut', 'terminate', 'restart', 'weather'] as const

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

  #kind(): Fault['kind'] {
    return this.oneOf(KINDS.flatMap((kind) => Array.from({ length: WEIGHTS[kind] }, () => kind)))
  }

  #fault(kind: Fault['kind'], leftMs: number): { readonly fault: Fault; readonly mostMs: number } {
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
      (): Weather => ({ kind: 'slow', latencyMs: this.between(200, SLOWEST_MS) }),
      (): Weather => ({ kind: 'limited', perSecond: this.between(5, 30) }),
      (): Weather => ({ kind: 'throttling', requests: this.between(1, 6), retryAfterS: this.between(1, 4) }),
      (): Weather => ({ kind: 'garbled', requests: this.between(2, 20) }),
      (): Weather => ({ kind: 'silent', requests: this.between(1, 8) }),
      (): Weather => ({ kind: 'unauthorized' }),
      (): Weather => ({ kind: 'away' }),
    ]
    return this.oneOf(kinds)()
  }
}
