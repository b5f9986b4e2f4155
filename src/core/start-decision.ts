// What to do at start, from what state remembers and what the source shows (DESIGN §5.6, §8). One pure function: go on only
// where it is certain that the slot holds everything since the checkpoint; never a silent go-on past a gap.
import type { Lsn } from './lsn.ts'

export interface KnownCheckpoint {
  readonly systemIdentifier: string
  readonly timeline: number
  readonly slot: string
  readonly tableOid: number
  readonly lsn: Lsn
}

export interface FoundSlot {
  readonly plugin: string | null
  readonly database: string | null
  readonly confirmedFlushLsn: Lsn | null
  /** wal_status `lost`, or an invalidation reason. */
  readonly lost: boolean
  /** This state noted that it would make it, or the operator has made it for us. */
  readonly ours: boolean
  readonly active: boolean
}

export interface FoundServer {
  readonly systemIdentifier: string
  readonly timeline: number
  readonly database: string
  /** null: not looked at. */
  readonly tableOid: number | null
  readonly slot: FoundSlot | null
}

export type StartDecision =
  /** The slot holds everything since the checkpoint. */
  | { readonly kind: 'go_on' }
  /** First start: create the slot, then the checkpoint with the backfill it owes. */
  | { readonly kind: 'create_slot' }
  /** First start that was killed after it had created the slot: nothing was captured, all since the slot is there. */
  | { readonly kind: 'adopt_slot'; readonly lsn: Lsn }
  | { readonly kind: 'stop'; readonly code: StopCode; readonly message: string }

export type StopCode =
  | 'slot_missing'
  | 'slot_lost'
  | 'slot_foreign'
  | 'slot_ahead'
  | 'slot_renamed'
  | 'server_replaced'
  | 'timeline_changed'
  | 'table_replaced'

export const START_OVER =
  'Changes may have been missed. To start over, drop the slot and the state schema: every row is then read and sent again; users deleted in the gap have to be removed in SuprSend by hand.'

export function decideStart(slot: string, checkpoint: KnownCheckpoint | null, server: FoundServer): StartDecision {
  const found = server.slot
  if (found && (found.plugin !== 'pgoutput' || found.database !== server.database)) {
    return stop(
      'slot_foreign',
      `The replication slot ${slot} belongs to another plugin or database; choose another name as source.slot.`,
    )
  }
  if (checkpoint === null) {
    if (found === null) return { kind: 'create_slot' }
    if (found.lost || found.confirmedFlushLsn === null) {
      return stop(
        'slot_lost',
        `The replication slot ${slot} has lost WAL; drop it: SELECT pg_drop_replication_slot('${slot}').`,
      )
    }
    if (!found.ours || found.active) {
      return stop(
        'slot_foreign',
        `A replication slot ${slot} is there already, and this state has not made it: another suprsync may stream from it. Choose another name as source.slot; or, if nobody uses it, drop it: SELECT pg_drop_replication_slot('${slot}').`,
      )
    }
    return { kind: 'adopt_slot', lsn: found.confirmedFlushLsn }
  }
  if (checkpoint.systemIdentifier !== server.systemIdentifier) {
    return stop(
      'server_replaced',
      `This is another PostgreSQL cluster than the one the state belongs to. ${START_OVER}`,
    )
  }
  if (checkpoint.slot !== slot) {
    return stop(
      'slot_renamed',
      `The state belongs to the slot ${checkpoint.slot}, the configuration names ${slot}; put the former name into source.slot.`,
    )
  }
  if (found === null) return stop('slot_missing', `The replication slot ${slot} is gone. ${START_OVER}`)
  if (found.lost || found.confirmedFlushLsn === null)
    return stop('slot_lost', `The server has invalidated the replication slot ${slot}. ${START_OVER}`)
  if (found.confirmedFlushLsn > checkpoint.lsn) {
    return stop(
      'slot_ahead',
      `The replication slot ${slot} stands ahead of the checkpoint: it was recreated or advanced by somebody else. ${START_OVER}`,
    )
  }
  if (checkpoint.timeline !== server.timeline) {
    return stop(
      'timeline_changed',
      `The server was promoted or restored since the checkpoint (timeline ${checkpoint.timeline}, now ${server.timeline}). ${START_OVER}`,
    )
  }
  if (server.tableOid !== null && checkpoint.tableOid !== server.tableOid) {
    return stop(
      'table_replaced',
      `The table was replaced by another one of the same name since the checkpoint. ${START_OVER}`,
    )
  }
  return { kind: 'go_on' }
}

function stop(code: StopCode, message: string): StartDecision {
  return { kind: 'stop', code, message }
}
