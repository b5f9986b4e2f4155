// The memory of the processes of a chaos run, looked at every second: the peak of the first minute, and of all that comes
// after it, which must not have grown with the backlog, the outages or the restarts (P7).
import type { Member } from './member.ts'

const FIRST_MS = 60_000
/** What the garbage collector may take as it likes. */
const ROOM_BYTES = 64 << 20
/** No process of ours needs as much, whatever it has been through. */
const CEILING_BYTES = 512 << 20

export class MemoryWatch {
  #startedAt: number | null = null
  firstBytes = 0
  laterBytes = 0
  #name = ''

  async look(members: readonly Member[], nowMs: number): Promise<void> {
    this.#startedAt ??= nowMs
    const isFirst = nowMs - this.#startedAt < FIRST_MS
    for (const member of members) {
      const bytes = (await member.rssBytes()) ?? 0
      if (isFirst) this.firstBytes = Math.max(this.firstBytes, bytes)
      else if (bytes > this.laterBytes) {
        this.laterBytes = bytes
        this.#name = member.name
      }
    }
  }

  /** Null when it is bounded. */
  problem(): string | null {
    const most = Math.min(this.firstBytes * 1.5 + ROOM_BYTES, CEILING_BYTES)
    if (Math.max(this.laterBytes, this.firstBytes) <= most) return null
    return `${this.#name} grew to ${megabytes(this.laterBytes)}, after ${megabytes(this.firstBytes)} in the first minute`
  }
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / (1 << 20))} MB`
}
