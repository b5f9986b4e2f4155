// Tells the senders of other processes that users are due, so that none waits for its next look. One statement at a time, outside of what
// is committed: rings that come meanwhile are one more. One that is lost costs the time until that look.
import type { StateDatabase } from './database.ts'
import { notifyService } from './notice.ts'

export class WorkNotice {
  readonly #db: StateDatabase
  readonly #schema: string
  #isRinging = false
  #again = false

  constructor(db: StateDatabase, schema: string) {
    this.#db = db
    this.#schema = schema
  }

  ring(): void {
    this.#again = true
    if (!this.#isRinging) void this.#run()
  }

  /** Never rejects: whoever is to hear it looks by itself. */
  async #run(): Promise<void> {
    this.#isRinging = true
    while (this.#again) {
      this.#again = false
      await notifyService(this.#db, this.#schema).catch(() => undefined)
    }
    this.#isRinging = false
  }
}
