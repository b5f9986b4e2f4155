// What a state knows of the slot of a name, on the server that the source is now.
import type { SlotKnowledge } from '../core/slot-ownership.ts'
import type { Queryable } from '../postgres/query.ts'
import { identifySystem } from '../postgres/system.ts'
import type { StateDatabase } from '../state/database.ts'
import { hasSlotIntent, readCheckpoint } from '../state/ownership.ts'

export async function readSlotKnowledge(source: Queryable, state: StateDatabase, slot: string): Promise<SlotKnowledge> {
  const systemIdentifier = (await identifySystem(source)).systemIdentifier.toString()
  const checkpoint = await readCheckpoint(state)
  const isOfIt = checkpoint?.slot === slot && checkpoint.systemIdentifier === systemIdentifier
  return { intended: await hasSlotIntent(state, slot, systemIdentifier), lsn: isOfIt ? checkpoint.lsn : null }
}
