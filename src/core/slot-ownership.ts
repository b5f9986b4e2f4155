// Whose a replication slot is: its name alone proves nothing, for another installation may have the same. Whoever drops one asks
// here first (DESIGN §8, P5). Pure.
import type { Lsn } from './lsn.ts'

export interface SlotOfName {
  readonly plugin: string | null
  readonly database: string | null
  readonly activePid: number | null
  readonly confirmedLsn: Lsn | null
}

/** What the state knows of the slot of this name, on the server with this identifier. */
export interface SlotKnowledge {
  /** It was noted before the slot was made. */
  readonly intended: boolean
  /** Up to where it was captured; null: the checkpoint is of another slot or server, or there is none. */
  readonly lsn: Lsn | null
}

/** Why a slot that we do not stream from is not the one that this state follows or would follow; null: it is. */
export function whyForeign(slot: SlotOfName, database: string, known: SlotKnowledge): string | null {
  if (slot.database !== database || slot.plugin !== 'pgoutput') return 'it belongs to another database or plugin'
  if (slot.activePid !== null) return `somebody streams from it (process ${slot.activePid} of the server)`
  if (!known.intended && known.lsn === null) return 'this state has not made it'
  return null
}

/** Ours never is (§5.6): somebody else has made it anew, or advanced it. */
export function isAhead({ confirmedLsn }: SlotOfName, known: SlotKnowledge): boolean {
  return known.lsn !== null && confirmedLsn !== null && confirmedLsn > known.lsn
}

/** Why such a slot is not to be dropped without asking; null: it is ours. */
export function whyNotOurs(slot: SlotOfName, database: string, known: SlotKnowledge): string | null {
  const foreign = whyForeign(slot, database, known)
  if (foreign !== null) return foreign
  return isAhead(slot, known) ? 'it is ahead of what was captured: somebody else has made it anew or advanced it' : null
}
