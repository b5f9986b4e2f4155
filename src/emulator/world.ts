// Everything the emulator knows, in one place: users, history, settings, faults, traffic. Joins the pure user store with
// the clock and the history; the two HTTP rooms (user-api, control-api) and the in-process API stand on it.
import type { RemoteUser } from '../core/api.ts'
import { FaultList, RandomFailures } from './fault.ts'
import { History } from './history.ts'
import { changedSettings, type Settings, type SettingsChange } from './settings.ts'
import { comparable, type StoredUser, timestamp } from './stored-user.ts'
import { RateWindow, Traffic } from './traffic.ts'
import { applyRequest, type StoreAnswer, type UserRequest } from './user-store.ts'

export class World {
  readonly stored = new Map<string, StoredUser>()
  readonly faults = new FaultList()
  readonly traffic = new Traffic()
  readonly rate = new RateWindow()
  readonly history: History
  readonly #initial: Settings
  #settings: Settings
  #random: RandomFailures
  #sequence = 0
  #now = { ms: 0, text: timestamp(0) }

  constructor(settings: Settings, historyLimit: number) {
    this.#initial = settings
    this.#settings = settings
    this.#random = new RandomFailures(settings.failureSeed)
    this.history = new History(historyLimit)
  }

  get settings(): Settings {
    return this.#settings
  }

  get random(): RandomFailures {
    return this.#random
  }

  /** A named `failureSeed` starts the random failures anew. */
  changeSettings(change: SettingsChange): Settings {
    this.#settings = changedSettings(this.#settings, change)
    if (change.failureSeed !== undefined) this.#random = new RandomFailures(change.failureSeed)
    return this.#settings
  }

  /** Requests that changed a user are recorded; rejected ones and reads are not. */
  apply(distinctId: string, method: string, request: UserRequest): StoreAnswer {
    const nowMs = Date.now()
    // Many requests share a millisecond; its text is made once.
    if (nowMs !== this.#now.ms) this.#now = { ms: nowMs, text: timestamp(nowMs) }
    this.#sequence += 1
    const { postReading, patchMissing, refusalReading, removalReading, refusedValues } = this.#settings
    const answer = applyRequest(this.stored, distinctId, request, {
      postReading,
      patchMissing,
      refusalReading,
      removalReading,
      refusedValues,
      now: this.#now.text,
      sequence: this.#sequence,
    })
    if (this.history.enabled && answer.message === null && request.kind !== 'get') {
      const body =
        request.kind === 'upsert' ? request.body : request.kind === 'edit' ? { operations: request.operations } : null
      this.history.record(distinctId, { atMs: nowMs, method, body, status: answer.status, user: answer.user })
    }
    return answer
  }

  users(): Map<string, RemoteUser> {
    return new Map([...this.stored].map(([distinctId, user]) => [distinctId, comparable(user)]))
  }

  /** Back to how it was started, without users. */
  reset(): void {
    this.stored.clear()
    this.faults.clear()
    this.traffic.clear()
    this.history.clear()
    this.#settings = this.#initial
    this.#random = new RandomFailures(this.#initial.failureSeed)
  }
}
