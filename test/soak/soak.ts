// One chaos run: the world, the load, the storm, and then the verdict. After the storm everything must become right by itself: SuprSend equals the
// tables, nobody is failed, no user ever went back, no two writes of a user were in flight, nor soon after one that was given up, the rate was kept, memory is
// bounded, nobody sends any more, and each process ends well when told to. Never throws for what it finds: it reports.
import { setTimeout as delay } from 'node:timers/promises'
import { errorMessage } from '../../src/core/error.ts'
import { startChildLoad } from '../support/child-load.ts'
import { expectConverged, expectNeverBack } from '../support/oracle.ts'
import { startWorkload } from '../support/workload.ts'
import type { Plan } from './fault.ts'
import { seconds } from './fault-text.ts'
import { exitText } from './member.ts'
import { MemoryWatch } from './memory-watch.ts'
import { LOOK_EVERY_MS } from './rate-watch.ts'
import { runStorm } from './storm.ts'
import { createWorld, USERS, type World } from './world.ts'

export interface SoakOptions {
  readonly plan: Plan
  readonly signal: AbortSignal
  /** After the storm. */
  readonly convergeWithinMs: number
  readonly onEvent: (text: string) => void
}

export interface SoakReport {
  readonly seed: number
  readonly stormMs: number
  /** Empty: all promises held. */
  readonly problems: readonly string[]
  readonly figures: { readonly [name: string]: number }
  /** What happened, oldest first; the last ones. */
  readonly events: readonly string[]
  /** Of each process that is to be looked at: the last lines of its log. Empty when there is no problem. */
  readonly logs: readonly string[]
}

const KEPT_EVENTS = 60
/** The history of a user is bounded: it is looked at well before its oldest entries go. */
const LOOK_BACK_EVERY_MS = 60_000
/** Tenths that the ways from several senders to here may bunch, and one request. */
const RATE_TOLERANCE = 1.1
/** After a write whose client is gone nobody writes that user for 2 s (DESIGN §7.1, §7.4), as seen from here. */
const LEAST_HOLD_MS = 1_500
const QUIET_MS = 2_000

export async function runSoak({ plan, signal, convergeWithinMs, onEvent }: SoakOptions): Promise<SoakReport> {
  const startedAt = performance.now()
  const problems: string[] = []
  const events: string[] = []
  const say = (text: string) => {
    const line = `${seconds(performance.now() - startedAt).padStart(9)}  ${text}`
    events.push(line)
    if (events.length > KEPT_EVENTS) events.shift()
    onEvent(line)
  }
  const note = (text: string) => {
    problems.push(text)
    say(`PROBLEM ${text}`)
  }
  const onProblem = (text: string) => {
    if (!signal.aborted) note(text) // Ctrl-C ends the processes as well
  }
  say(
    `seed ${plan.seed}: POST ${plan.postReading}, PATCH on a missing user ${plan.patchMissing}, first contact ${plan.firstContact}, ${plan.ratePerSecond} requests/s`,
  )
  await using world = await createWorld(plan, onProblem)
  const run = new Run(world, plan, onProblem)
  try {
    say('storm')
    await run.storm(signal, say)
    say('calm; waiting for everything to be right')
    await run.judge(convergeWithinMs, signal)
    say(problems.length === 0 ? 'all is right' : `${problems.length} problems`)
  } catch (error) {
    if (signal.aborted) note('interrupted')
    else onProblem(errorMessage(error))
  }
  const logs = problems.length === 0 ? [] : world.members.flatMap((member) => [`--- ${member.name}`, ...member.tail()])
  return { seed: plan.seed, stormMs: plan.stormMs, problems, figures: run.figures(), events, logs }
}

class Run {
  readonly #world: World
  readonly #plan: Plan
  readonly #onProblem: (text: string) => void
  readonly #memory = new MemoryWatch()
  #ids: readonly string[] = []
  #transactions = 0
  #childStatements = 0
  #convergedMs = 0

  constructor(world: World, plan: Plan, onProblem: (text: string) => void) {
    this.#world = world
    this.#plan = plan
    this.#onProblem = onProblem
  }

  async storm(signal: AbortSignal, onEvent: (text: string) => void): Promise<void> {
    const { seed } = this.#plan
    const { databases, rate, members } = this.#world
    const shared = { database: databases.source, users: USERS, reconnects: true }
    await using load = startWorkload({ ...shared, seed, pauseMs: 20, manyRows: 50, movesKeys: true })
    await using children = startChildLoad({ ...shared, seed: seed + 1, pauseMs: 30 })
    this.#ids = load.ids
    const looks = [
      setInterval(() => rate.look(performance.now()), LOOK_EVERY_MS),
      setInterval(() => void this.#memory.look(members, performance.now()), 1_000),
      setInterval(() => this.#lookBack(), LOOK_BACK_EVERY_MS),
    ]
    try {
      await runStorm(this.#world, { plan: this.#plan, signal, onEvent, onProblem: this.#onProblem })
      await load.stop()
      await children.stop()
    } finally {
      for (const look of looks) clearInterval(look)
    }
    this.#transactions = load.transactions
    this.#childStatements = children.statements
  }

  async judge(convergeWithinMs: number, signal: AbortSignal): Promise<void> {
    const { databases, emulator, config } = this.#world
    const begunAt = performance.now()
    const converging = { database: databases.source, state: databases.state, emulator, config }
    await this.#expect(() => expectConverged({ ...converging, timeoutMs: convergeWithinMs }))
    this.#convergedMs = performance.now() - begunAt
    signal.throwIfAborted()
    this.#lookBack()
    await this.#expect(() => this.#expectNobodyFailed())
    this.#expectLimits()
    await this.#expectQuiet(signal)
    await this.#expectGoodEnds()
  }

  figures(): { readonly [name: string]: number } {
    const { emulator, rate, members } = this.#world
    const { requests, maxInFlight, concurrencyViolations, soonestAfterLeftMs } = emulator.stats()
    return {
      faults: this.#plan.faults.length,
      process_starts: members.reduce((sum, { starts }) => sum + starts, 0),
      transactions: this.#transactions,
      child_statements: this.#childStatements,
      requests,
      max_in_flight: maxInFlight,
      concurrent_writes: concurrencyViolations.count,
      soonest_after_left_ms: Math.round(soonestAfterLeftMs ?? -1),
      rate_limit: this.#plan.ratePerSecond,
      peak_rate: rate.peak,
      rate_judged_share: Math.round(rate.judgedShare * 100) / 100,
      first_minute_rss_mb: Math.round(this.#memory.firstBytes / (1 << 20)),
      later_rss_mb: Math.round(this.#memory.laterBytes / (1 << 20)),
      converged_ms: Math.round(this.#convergedMs),
    }
  }

  /** A problem goes on the list, and the next one is looked for. */
  async #expect(check: () => void | Promise<void>): Promise<void> {
    try {
      await check()
    } catch (error) {
      this.#onProblem(errorMessage(error))
    }
  }

  #lookBack(): void {
    void this.#expect(() => expectNeverBack(this.#world.emulator, this.#ids))
  }

  async #expectNobodyFailed(): Promise<void> {
    const failed = await this.#world.databases.state.query(
      `SELECT distinct_id, failure FROM ${this.#world.config.state.schema}.profile WHERE failure IS NOT NULL`,
    )
    if (failed.length > 0) throw new Error(`users are failed: ${JSON.stringify(failed.slice(0, 5))}`)
  }

  #expectLimits(): void {
    const { emulator, rate } = this.#world
    const { concurrencyViolations, soonestAfterLeftMs, requests } = emulator.stats()
    const { count, users } = concurrencyViolations
    if (count > 0)
      this.#onProblem(
        `${count} writes arrived while another of their user was in flight: ${users.slice(0, 10).join(', ')}`,
      )
    if (soonestAfterLeftMs !== null && soonestAfterLeftMs < LEAST_HOLD_MS)
      this.#onProblem(`a user was written ${Math.round(soonestAfterLeftMs)} ms after a write whose client was gone`)
    const most = Math.ceil(this.#plan.ratePerSecond * RATE_TOLERANCE) + 1
    if (rate.peak > most)
      this.#onProblem(`${rate.peak} requests within a second, where ${this.#plan.ratePerSecond} may be`)
    const memory = this.#memory.problem()
    if (memory !== null) this.#onProblem(memory)
    // A run in which little happened shows nothing.
    if (this.#transactions < this.#plan.stormMs / 200) this.#onProblem(`only ${this.#transactions} transactions`)
    if (requests < this.#plan.stormMs / 200) this.#onProblem('hardly anything was sent')
  }

  /** When everything is right there is nothing to send. */
  async #expectQuiet(signal: AbortSignal): Promise<void> {
    const before = this.#world.rate.seen
    await delay(QUIET_MS, undefined, { signal })
    const more = this.#world.rate.seen - before
    if (more > 0) this.#onProblem(`${more} requests although everything was right`)
  }

  async #expectGoodEnds(): Promise<void> {
    const exits = await Promise.all(this.#world.members.map((member) => member.stop()))
    for (const [at, exit] of exits.entries()) {
      if (exit.code !== 0)
        this.#onProblem(`${this.#world.members[at]?.name} ended with ${exitText(exit)} after SIGTERM`)
    }
  }
}

/** As text for a person: the outcome, and where there is a problem all that helps to find it. */
export function reportText({ seed, stormMs, problems, figures, events, logs }: SoakReport): string {
  const shown = Object.entries(figures).map(([name, value]) => `  ${name.padEnd(22)}${value}`)
  if (problems.length === 0) return ['everything held', ...shown].join('\n')
  return [
    ...['last lines of the logs:', ...logs, '', 'last events:', ...events, '', ...shown, ''],
    `${problems.length} problems:`,
    ...problems.map((problem) => `- ${problem}`),
    `to repeat: npm run soak -- --minutes ${Number((stormMs / 60_000).toFixed(2))} --seed ${seed}`,
  ].join('\n')
}
