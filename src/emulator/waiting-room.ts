// Exchanges that are to be continued later: delayed for a time, or held until released. Guarantees that each is continued
// exactly once, with why: its time came, its client left, or the emulator stopped. Owns the timers.
import type { ServerResponse } from 'node:http'

export type WaitEnd = 'due' | 'client_left' | 'stopped'

export class WaitingRoom {
  readonly #delayed = new Set<(end: WaitEnd) => void>()
  readonly #held = new Set<(end: WaitEnd) => void>()

  delay(response: ServerResponse, delayMs: number, next: (end: WaitEnd) => void): void {
    const timer = setTimeout(() => finish('due'), delayMs)
    const finish = this.#enter(this.#delayed, response, (end) => {
      clearTimeout(timer)
      next(end)
    })
  }

  hold(response: ServerResponse, next: (end: WaitEnd) => void): void {
    this.#enter(this.#held, response, next)
  }

  get heldCount(): number {
    return this.#held.size
  }

  /** Lets every held exchange go on; says how many there were. */
  release(): number {
    const released = [...this.#held]
    for (const finish of released) finish('due')
    return released.length
  }

  stop(): void {
    for (const finish of [...this.#held, ...this.#delayed]) finish('stopped')
  }

  #enter(room: Set<(end: WaitEnd) => void>, response: ServerResponse, next: (end: WaitEnd) => void) {
    const onClose = (): void => finish('client_left')
    const finish = (end: WaitEnd): void => {
      if (!room.delete(finish)) return
      response.removeListener('close', onClose)
      next(end)
    }
    room.add(finish)
    response.once('close', onClose)
    return finish
  }
}
