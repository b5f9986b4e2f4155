// What the demo shows, in order: the first start over a table that has users already, an application at work, kill -9 in
// the middle of it, and the application at work again. Every wait is bounded and ends with the signal; what came of it is
// for summary.ts to judge.
import { sleep } from '../core/abort.ts'
import { SuprsyncError } from '../core/error.ts'
import type { ServiceProcess } from './service-process.ts'
import type { Stage } from './stage.ts'

export interface Outage {
  readonly requestsCut: number
  readonly changesWhileDown: number
  readonly usersChanged: number
  /** From the start of the new process until SuprSend showed the newest change of every user. */
  readonly recoveredMs: number
}

export interface Played {
  readonly service: ServiceProcess
  readonly outage: Outage
  readonly changes: { readonly insert: number; readonly update: number; readonly delete: number }
  /** Row changes that no call may be made for: of unmapped columns. */
  readonly touched: number
  readonly rolledBack: number
  /** What the service itself says that it skipped. */
  readonly skipped: number
}

export interface ScenarioOptions {
  readonly startService: (signal: AbortSignal) => Promise<ServiceProcess>
  /** `performance.now()` at which the activity must be over. */
  readonly activityEndsAt: (readyAt: number) => number
  readonly signal: AbortSignal
}

const FIRST_USERS = 40
const CHANGES_WHILE_DOWN = 40
/** Eight or nine changes a second: fast enough to be live, slow enough to be read. */
const PACE_MS = 115
/** Longer than the way of a change on any machine; what is not there by then is a difference in the summary. */
const CATCH_UP_MS = 8_000
/**
 * Where a slow restart has used up the time: that all goes on as before must be seen, and what was in hand when it was killed is said
 * again 2 s later, as after any request of which nobody knows the end.
 */
const LEAST_AFTERWARDS_MS = 4_000

export class Scenario {
  readonly #stage: Stage
  readonly #options: ScenarioOptions
  readonly #changes = { insert: 0, update: 0, delete: 0 }
  #touched = 0
  #rolledBack = 0
  #steps = 0

  constructor(stage: Stage, options: ScenarioOptions) {
    this.#stage = stage
    this.#options = options
  }

  /** The service that is running at the end is the caller's to end. Null when the signal aborted. */
  async play(own: (service: ServiceProcess) => ServiceProcess): Promise<Played | null> {
    const { screen, narrator } = this.#stage
    const { signal, startService, activityEndsAt } = this.#options
    const first = own(await this.#firstStart())
    if (signal.aborted) return null
    const readyAt = performance.now()
    const endsAt = activityEndsAt(readyAt)
    screen.rule('an application at work')
    screen.columns()
    narrator.telling = 'live'
    await this.#work(readyAt + (endsAt - readyAt) * 0.45)
    await this.#caughtUp()
    const skippedBefore = (await first.skippedChanges()) ?? 0
    if (signal.aborted) return null

    narrator.telling = 'silent'
    const { requestsCut, usersChanged } = await this.#kill(first)
    const restartedAt = performance.now()
    screen.meanwhile('suprsync run')
    const service = own(await startService(signal))
    await this.#caughtUp()
    if (signal.aborted) return null
    const recoveredMs = performance.now() - restartedAt
    screen.done(
      `suprsync run, pid ${service.pid}: caught up ${(recoveredMs / 1000).toFixed(1)} s after its start`,
      `${CHANGES_WHILE_DOWN} changes of ${usersChanged} users, nothing lost`,
    )
    screen.line('')

    narrator.telling = 'live'
    await this.#work(Math.max(endsAt, performance.now() + LEAST_AFTERWARDS_MS))
    // Who is behind even then is what the summary's comparison is for.
    await this.#catchUp()
    if (signal.aborted) return null
    service.assertRunning()
    const skipped = skippedBefore + ((await service.skippedChanges()) ?? 0)
    const outage = { requestsCut, changesWhileDown: CHANGES_WHILE_DOWN, usersChanged, recoveredMs }
    const [changes, touched, rolledBack] = [this.#changes, this.#touched, this.#rolledBack]
    return { service, outage, changes, touched, rolledBack, skipped }
  }

  /** Users who were there before suprsync. */
  async #firstStart(): Promise<ServiceProcess> {
    const { application, screen } = this.#stage
    const { signal, startService } = this.#options
    for (let count = 0; count < FIRST_USERS; count += 1)
      await this.#change({ measured: false, how: () => application.add() })
    screen.meanwhile('suprsync run')
    const startedAt = performance.now()
    const service = await startService(signal)
    await this.#caughtUp()
    if (signal.aborted) return service
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
    screen.done(`suprsync run, pid ${service.pid}`, 'config/demo.yaml, a role that may only read the table')
    screen.done(`first start: ${FIRST_USERS} users who were there already are in SuprSend`, `(${seconds} s)`)
    return service
  }

  async #work(untilMs: number): Promise<void> {
    const { application, narrator } = this.#stage
    const { signal } = this.#options
    while (performance.now() < untilMs && !signal.aborted) {
      const startedAt = performance.now()
      this.#steps += 1
      if (this.#steps % 9 === 4) {
        const rows = await application.touchEverybody()
        this.#touched += rows
        const why = 'nothing: no mapped column'
        narrator.nothing({ verb: 'UPDATE', who: `${rows} users`, what: 'last_seen_at → now()', why })
      } else if (this.#steps % 25 === 17) {
        const { name, detail } = await application.editAndRollBack()
        this.#rolledBack += 1
        narrator.nothing({ verb: 'ROLLBACK', who: name, what: detail, why: 'nothing: it never happened' })
      } else await this.#change({ measured: true })
      await sleep(Math.max(0, startedAt + PACE_MS - performance.now()), signal)
    }
  }

  /**
   * The worst moment: SuprSend has applied what was sent, and the service dies before it hears so. Slow answers make that
   * moment long enough to be hit.
   */
  async #kill(service: ServiceProcess): Promise<Pick<Outage, 'requestsCut' | 'usersChanged'>> {
    const { application, emulator, screen } = this.#stage
    const dropped = () => Object.values(emulator.stats().calls).reduce((sum, by) => sum + (by.dropped ?? 0), 0)
    const droppedBefore = dropped()
    emulator.settings({ latencyMs: 1_000 })
    for (let count = 0; count < 3; count += 1) await this.#change({ measured: false, how: () => application.edit() })
    await until(() => emulator.stats().inFlight >= 2, { timeoutMs: 700, signal: this.#options.signal })
    await service.kill9()
    // Counted afterwards: one more may have left while it was being killed.
    await until(() => emulator.stats().inFlight === 0, { timeoutMs: 2_000, signal: this.#options.signal })
    const requestsCut = dropped() - droppedBefore
    emulator.settings({ latencyMs: 0 })
    screen.rule(`kill -9 ${service.pid}`, 'bad')
    screen.line('  ', `SuprSend had just applied ${requestsCut} requests; their answers found nobody.`)
    const users = new Set<string>()
    for (let count = 0; count < CHANGES_WHILE_DOWN; count += 1) users.add(await this.#change({ measured: false }))
    screen.line(
      '  ',
      `The application goes on: ${CHANGES_WHILE_DOWN} changes of ${users.size} users while suprsync is down.`,
    )
    return { requestsCut, usersChanged: users.size }
  }

  async #change(options: {
    readonly measured: boolean
    readonly how?: () => ReturnType<Stage['application']['changeSomething']>
  }): Promise<string> {
    const { application, narrator } = this.#stage
    const change = await (options.how ?? (() => application.changeSomething()))()
    this.#changes[change.kind] += 1
    narrator.committed(change, options)
    return change.id
  }

  /** @throws SuprsyncError `demo_behind`: what comes next would show something else than it says. */
  async #caughtUp(): Promise<void> {
    await this.#catchUp()
    const { behind } = this.#stage.ledger
    if (behind === 0 || this.#options.signal.aborted) return
    const message = `${behind} users were not up to date at SuprSend within ${CATCH_UP_MS / 1000} s`
    throw new SuprsyncError('demo_behind', message)
  }

  async #catchUp(): Promise<void> {
    const { signal } = this.#options
    await until(() => this.#stage.ledger.behind === 0, { timeoutMs: CATCH_UP_MS, signal })
  }
}

async function until(
  condition: () => boolean,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!condition() && performance.now() < deadline && !signal.aborted) await sleep(5, signal)
}
