// Carries out a plan on the world: begins and ends each fault at its time. Returns when every fault has ended and everything runs again.
// A server is stopped and started by one fault at a time, however long its stop takes; how long that was is judged here (P5).
import { setTimeout as delay } from 'node:timers/promises'
import type { FaultInput } from '../../src/emulator/fault.ts'
import { isLostConnection } from '../../src/postgres/connection-failure.ts'
import { type Fault, LINKS, type Plan, type PlannedFault, type Server, type Sessions, type Weather } from './fault.ts'
import { faultText, seconds } from './fault-text.ts'
import type { World } from './world.ts'

export interface StormOptions {
  readonly plan: Plan
  readonly signal: AbortSignal
  readonly onEvent: (text: string) => void
  readonly onProblem: (text: string) => void
}

/** Ends the fault. */
type End = () => Promise<void>

/** A server that shuts down waits for our walsender, whose time-out is 6 s, and no longer (DESIGN §5.7). */
const SLOWEST_STOP_MS = 15_000

export async function runStorm(world: World, { plan, signal, onEvent, onProblem }: StormOptions): Promise<void> {
  const storm = new Storm(world, plan, onProblem)
  const startedAt = performance.now()
  const broken = new AbortController()
  const ending = AbortSignal.any([signal, broken.signal])
  const at = (ms: number) => delay(Math.max(0, startedAt + ms - performance.now()), undefined, { signal: ending })
  const carryOut = async (planned: PlannedFault) => {
    await at(planned.atMs)
    onEvent(faultText(planned))
    const end = await storm.begin(planned.fault)
    await at(planned.untilMs)
    await end()
  }
  const parts = [at(plan.stormMs), ...plan.faults.map(carryOut)]
  // All of them, also when one fails: who starts a process just now must not do so when everything is taken down.
  for (const part of parts) part.catch((error: unknown) => broken.abort(error))
  await Promise.allSettled(parts)
  await Promise.all(parts)
  await storm.settle()
}

class Storm {
  readonly #world: World
  readonly #plan: Plan
  readonly #onProblem: (text: string) => void
  readonly #servers: { [server in Server]: Promise<void> } = { source: Promise.resolve(), state: Promise.resolve() }

  constructor(world: World, plan: Plan, onProblem: (text: string) => void) {
    this.#world = world
    this.#plan = plan
    this.#onProblem = onProblem
  }

  async begin(fault: Fault): Promise<End> {
    switch (fault.kind) {
      case 'kill': {
        const member = this.#world.member(fault.process)
        await member.kill()
        return () => member.start()
      }
      case 'freeze': {
        const member = this.#world.member(fault.process)
        member.signal('SIGSTOP')
        return async () => member.signal('SIGCONT')
      }
      case 'deploy': {
        const member = this.#world.member(fault.process)
        const stopped = member.stop()
        return async () => {
          await stopped
          await member.start()
        }
      }
      case 'network':
        return this.#network(fault)
      case 'cut':
        for (const name of fault.processes) this.#world.member(name).network(fault.link).cut()
        return async () => undefined
      case 'terminate':
        await this.#terminate(fault.server, fault.sessions)
        return async () => undefined
      case 'restart':
        return this.#restart(fault.server, fault.mode)
      case 'weather':
        return await this.#weather(fault.weather)
    }
  }

  /** Everything is as before the storm, whatever a fault has left. */
  async settle(): Promise<void> {
    await Promise.all(Object.values(this.#servers))
    for (const member of this.#world.members) for (const link of LINKS) member.network(link).become('none')
    this.#world.emulator.clearFaults()
    this.#world.emulator.settings({ failureRate: 0, unauthorized: false, rateLimit: null, latencyMs: 0 })
  }

  #network({ link, processes, how }: Extract<Fault, { kind: 'network' }>): End {
    const networks = processes.map((name) => this.#world.member(name).network(link))
    const { rate } = this.#world
    const bunches = link === 'suprsend' && how === 'held'
    if (bunches) rate.hold()
    for (const network of networks) network.become(how)
    return async () => {
      for (const network of networks) network.become('none')
      if (bunches) rate.release(performance.now())
    }
  }

  /** Only our own, among them walsenders. */
  async #terminate(server: Server, sessions: Sessions): Promise<void> {
    const name = sessions === 'all' ? 'suprsync%' : sessions
    try {
      await this.#world.databases[server].query(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE $1',
        [name],
      )
    } catch (error) {
      if (!isLostConnection(error)) throw error // a restart took longer than planned
    }
  }

  #restart(server: Server, mode: 'fast' | 'immediate'): End {
    const cluster = this.#world.servers[server]
    const free = this.#servers[server]
    const begun = free.then(async () => {
      const { elapsedMs } = await cluster.stop(mode)
      if (elapsedMs > SLOWEST_STOP_MS) this.#onProblem(`the ${server} server took ${seconds(elapsedMs)} to stop`)
    })
    const { promise: over, resolve } = Promise.withResolvers<void>()
    this.#servers[server] = over
    begun.catch(resolve)
    return async () => {
      try {
        await begun
        await cluster.start()
      } finally {
        resolve()
      }
    }
  }

  async #weather(weather: Weather): Promise<End> {
    const { emulator } = this.#world
    const { failureRate, latencyMs } = this.#plan
    switch (weather.kind) {
      case 'failing':
        emulator.settings({ failureRate: weather.rate })
        return async () => void emulator.settings({ failureRate })
      case 'slow':
        emulator.settings({ latencyMs: weather.latencyMs })
        return async () => void emulator.settings({ latencyMs })
      case 'limited':
        emulator.settings({ rateLimit: weather.perSecond })
        return async () => void emulator.settings({ rateLimit: null })
      case 'unauthorized':
        emulator.settings({ unauthorized: true })
        return async () => void emulator.settings({ unauthorized: false })
      case 'away':
        await emulator.pause()
        return () => emulator.resume()
      case 'throttling':
      case 'garbled':
      case 'silent':
        emulator.addFault(...faultsOf(weather))
        return async () => {
          emulator.clearFaults()
          emulator.releaseHolds()
        }
    }
  }
}

function faultsOf(weather: Extract<Weather, { kind: 'throttling' | 'garbled' | 'silent' }>): readonly FaultInput[] {
  const everybody = { user: '*', times: weather.requests }
  if (weather.kind === 'silent') return [{ ...everybody, action: { kind: 'hold', apply: 'before' } }]
  if (weather.kind === 'throttling') {
    return [{ ...everybody, action: { kind: 'status', status: 429, retryAfter: weather.retryAfterS } }]
  }
  // Not of GET: who starts would take it for another server.
  return (['POST', 'PATCH'] as const).map((method) => ({
    ...{ ...everybody, method },
    action: { kind: 'garbage', body: method === 'POST' ? 'html' : 'empty' },
  }))
}
