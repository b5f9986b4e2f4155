// While tables are read again because the mapping is another one, a user is put together of rows mapped by the new and rows
// mapped by the old: a value that moves from one table or row to another is missing for a while, and so is a user whose id
// moves. Who would lose one waits ("parked") until everything is read; who only gains is sent at once. Pure.
import { LEFT_OUT, MAPPING_CHANGED } from './remap-decision.ts'

/**
 * Of the users that a commit writes, who would lose a value that SuprSend holds and is to wait: `none`, `lost` any of them, and
 * who is gone, `emptied` those who lose a whole channel or property, and who is parked already, `kept` these alone.
 */
export type Parking = 'none' | 'kept' | 'emptied' | 'lost'

export interface CommitBy {
  readonly by: 'stream' | 'page'
  /** Readings under another mapping that are not at their end, and the forgetting of tables that are mapped no more: one step. */
  readonly stepsLeft: number
}

export function parking({ by, stepsLeft }: CommitBy): Parking {
  if (stepsLeft === 0) return 'none'
  // Not even what the last step writes is final: an id, or a value, may go from a row of this page to one of the next.
  if (by === 'page') return 'lost'
  // A live edit that replaces an address is not kept waiting: only what is missing altogether may have moved.
  return stepsLeft > 1 ? 'emptied' : 'kept'
}

/**
 * Runs with these reasons are steps: what is stored of these tables may be all in other rows than it was. One that takes the
 * place of a step is a step.
 */
export const STEPS: readonly string[] = [MAPPING_CHANGED, LEFT_OUT, 'table_replaced', 'primary_key_changed']

export function isStep(reason: string): boolean {
  return STEPS.includes(reason)
}
