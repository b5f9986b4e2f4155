// What to do at start, from what state remembers and what the source shows (DESIGN §5.6, §8). One pure function: go on only
// where it is certain that the slot holds everything since the checkpoint; past a gap only by reading everything again.
import type { Lsn } from './lsn.ts'

/** Whether a gap is mended by itself, or waits for a person. */
export const RECOVERIES = ['auto', 'manual'] as const
export type Recovery = (typeof RECOVERIES)[number]

export interface KnownCheckpoint {
  readonly systemIdentifier: string
  readonly timeline: number
  readonly slot: string
  readonly tableOid: number
  readonly lsn: Lsn
  /** No page that was stored shows anything committed beyond it. */
  readonly pagesLsn: Lsn
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

export type Unreadable = (typeof UNREADABLE)[number]
export const UNREADABLE = ['keys', 'publication'] as const

export interface FoundServer {
  readonly systemIdentifier: string
  readonly timeline: number
  /** Where the checkpoint's timeline was left for today's; null: it is today's, or no ancestor of it, or not asked. */
  readonly switchLsn: Lsn | null
  /** Up to where WAL is written; null: not asked. */
  readonly walLsn: Lsn | null
  readonly database: string
  /** null: not looked at. */
  readonly tableOid: number | null
  /** null: not looked at. */
  readonly published: boolean | null
  /**
   * Why the WAL since the checkpoint cannot be read: it tells rows by another key than today's, or not at all (`keys`); or it
   * was written while there was no such publication (`publication`).
   */
  readonly unreadable: Unreadable | null
  readonly slot: FoundSlot | null
}

export type StartDecision =
  /** The slot holds everything since the checkpoint. */
  | { readonly kind: 'go_on' }
  /** First start: create the slot, then the checkpoint with the backfill it owes. */
  | { readonly kind: 'create_slot' }
  /** First start that was killed after it had created the slot: nothing was captured, all since the slot is there. */
  | { readonly kind: 'adopt_slot'; readonly lsn: Lsn }
  /** The same, and its WAL was lost meanwhile: as nothing was captured, nothing is missed by beginning with another one. */
  | { readonly kind: 'replace_slot' }
  /** Changes may be missing: begin a new era, read every row again, sweep users whose rows no page shows. */
  | { readonly kind: 'recover'; readonly code: GapCode; readonly message: string; readonly slot: SlotStep }
  | { readonly kind: 'stop'; readonly code: StopCode; readonly message: string }

/** How the new era comes by its slot. What was committed before it is in the pages, what comes after in the slot. */
export type SlotStep =
  | { readonly kind: 'create' }
  /** The one that is there is of no use. */
  | { readonly kind: 'replace' }
  | { readonly kind: 'adopt'; readonly lsn: Lsn }

export type GapCode =
  | 'slot_missing'
  | 'slot_lost'
  | 'slot_wrong_plugin'
  | 'slot_ahead'
  | 'server_replaced'
  | 'server_behind'
  | 'timeline_changed'
  | 'table_replaced'
  | 'publication_missing'
  | 'rows_unnamed'

export type StopCode = GapCode | 'slot_foreign' | 'slot_renamed'

export const RECOVER_BY_HAND =
  'Changes may have been missed. `suprsync run --recover` goes on: it reads every row again, and removes users whose rows are gone.'

interface Known {
  readonly checkpoint: KnownCheckpoint | null
  readonly server: FoundServer
}

export interface StartFacts extends Known {
  /** The slot's name, as the configuration has it. */
  readonly slot: string
  /** Whether a slot and a publication may be made. */
  readonly create: boolean
  readonly recovery: Recovery
}

export function decideStart(facts: StartFacts): StartDecision {
  const { slot, checkpoint, server } = facts
  const found = server.slot
  // Slots are the whole cluster's: one of another database is somebody else's, whatever its name.
  if (found && (found.database !== server.database || found.plugin === null)) {
    return stop(
      'slot_foreign',
      `The replication slot ${slot} belongs to ${found.plugin === null ? 'a standby' : `the database ${found.database}`}; choose another name as source.slot.`,
    )
  }
  if (checkpoint === null) return decideFirst(facts, found)
  const gap = gapOf(slot, checkpoint, server)
  if (gap === null) {
    if (checkpoint.slot === slot) return { kind: 'go_on' }
    return stop(
      'slot_renamed',
      `The state belongs to the slot ${checkpoint.slot}, the configuration names ${slot}; put the former name into source.slot.`,
    )
  }
  return mend({ ...facts, checkpoint }, found, gap)
}

/**
 * Whether the state may be older than what SuprSend was sent: it went back together with the server, or was restored by itself.
 * @param isBeside it is in a database of the very server that is followed.
 */
export function mayHaveForgotten(decision: StartDecision, { checkpoint, server }: Known, isBeside: boolean): boolean {
  if (checkpoint === null) return false
  if (decision.kind === 'recover' && decision.code === 'slot_ahead') return true
  const isOther = checkpoint.timeline !== server.timeline || checkpoint.systemIdentifier !== server.systemIdentifier
  return isBeside && isOther && (decision.kind === 'go_on' || decision.kind === 'recover')
}

function decideFirst({ slot, create }: StartFacts, found: FoundSlot | null): StartDecision {
  if (found === null) return { kind: 'create_slot' }
  const drop = `SELECT pg_drop_replication_slot('${slot}')`
  if (found.plugin !== 'pgoutput') {
    return stop(
      'slot_foreign',
      `The replication slot ${slot} belongs to the plugin ${found.plugin}; choose another name as source.slot.`,
    )
  }
  if (found.lost || found.confirmedFlushLsn === null) {
    if (create && found.ours && !found.active) return { kind: 'replace_slot' }
    return stop('slot_lost', `The replication slot ${slot} has lost WAL; drop it: ${drop}.`)
  }
  if (!found.ours || found.active) {
    return stop(
      'slot_foreign',
      `A replication slot ${slot} is there already, and this state has not made it: another suprsync may stream from it. Choose another name as source.slot; or, if nobody uses it, drop it: ${drop}.`,
    )
  }
  return { kind: 'adopt_slot', lsn: found.confirmedFlushLsn }
}

interface Gap {
  readonly code: GapCode
  readonly what: string
}

/** Why changes since the checkpoint may be missing; null: they are all there. */
function gapOf(slot: string, checkpoint: KnownCheckpoint, server: FoundServer): Gap | null {
  const found = server.slot
  const { systemIdentifier, timeline, lsn } = checkpoint
  if (systemIdentifier !== server.systemIdentifier) {
    return gap('server_replaced', 'This is another PostgreSQL cluster than the one the state belongs to.')
  }
  if (checkpoint.slot !== slot) return null
  if (found === null) return gap('slot_missing', `The replication slot ${slot} is gone.`)
  if (found.plugin !== 'pgoutput')
    return gap('slot_wrong_plugin', `The replication slot ${slot} was made again, for the plugin ${found.plugin}.`)
  if (found.lost || found.confirmedFlushLsn === null)
    return gap('slot_lost', `The server has invalidated the replication slot ${slot}.`)
  if (found.confirmedFlushLsn > lsn) {
    return gap(
      'slot_ahead',
      `The replication slot ${slot} stands ahead of the checkpoint: it was made again or advanced by somebody else, or the state was restored.`,
    )
  }
  if (timeline !== server.timeline && !isShared(checkpoint, server.switchLsn)) {
    return gap(
      'timeline_changed',
      `The server was promoted or restored (timeline ${timeline}, now ${server.timeline}), and something that was captured may not have come along.`,
    )
  }
  if (server.walLsn !== null && server.walLsn < lsn) {
    return gap('server_behind', 'The server is older than the state: it was restored from a backup.')
  }
  if (server.published === false) return gap('publication_missing', 'The publication is gone.')
  if (server.tableOid !== null && checkpoint.tableOid !== server.tableOid) {
    return gap('table_replaced', 'The table was replaced by another one of the same name since the checkpoint.')
  }
  if (server.unreadable === 'publication') {
    return gap(
      'publication_missing',
      'The publication was dropped and made again; what was written in between cannot be read.',
    )
  }
  if (server.unreadable === 'keys') {
    return gap(
      'rows_unnamed',
      "Changes since the checkpoint do not tell today's rows: the primary key or the replica identity was another.",
    )
  }
  return null
}

/** Everything we have seen, by stream or page, was written before the timelines parted. */
function isShared({ lsn, pagesLsn }: KnownCheckpoint, switchLsn: Lsn | null): boolean {
  return switchLsn !== null && lsn <= switchLsn && pagesLsn <= switchLsn
}

function mend(
  { slot, create, recovery, server, checkpoint }: StartFacts & { readonly checkpoint: KnownCheckpoint },
  found: FoundSlot | null,
  { code, what }: Gap,
): StartDecision {
  if (found?.active && found.confirmedFlushLsn !== null && code !== 'timeline_changed' && code !== 'table_replaced') {
    return stop(code, `${what} Somebody streams from the slot: stop that first, or choose another name as source.slot.`)
  }
  if (code === 'server_replaced' && found !== null && !found.ours) {
    return stop(
      'slot_foreign',
      `${what} A replication slot ${slot} is there already: if nobody uses it, drop it: SELECT pg_drop_replication_slot('${slot}').`,
    )
  }
  const isOfUse =
    found !== null &&
    found.plugin === 'pgoutput' &&
    !found.lost &&
    server.published !== false &&
    server.unreadable === null
  const step = slotStep(isOfUse ? found : null, found !== null, sharedUpTo(code, checkpoint, server))
  if (!create && (step.kind !== 'adopt' || server.published === false)) {
    return stop(
      code,
      `${what} source.create is false: make the publication, if it is missing, and then the slot anew, and start again: ${remake(slot, found)}.`,
    )
  }
  if (recovery === 'manual') return stop(code, `${what} ${RECOVER_BY_HAND}`)
  return { kind: 'recover', code, message: what, slot: step }
}

/**
 * WAL from before a publication was made cannot be decoded with it: a slot that reaches back there is of no use.
 * @param shared what was written up to there has been captured: streamed again it would take users back to it for a moment.
 */
function slotStep(usable: FoundSlot | null, isThere: boolean, shared: Lsn | null): SlotStep {
  const confirmed = usable?.confirmedFlushLsn ?? null
  if (confirmed === null) return { kind: isThere ? 'replace' : 'create' }
  return { kind: 'adopt', lsn: shared !== null && shared > confirmed ? shared : confirmed }
}

/** Up to where the server's history is the one that was followed; null: nothing of it is certain. */
function sharedUpTo(code: GapCode, { lsn }: KnownCheckpoint, { switchLsn, walLsn }: FoundServer): Lsn | null {
  switch (code) {
    case 'table_replaced':
      return lsn
    case 'timeline_changed':
      return switchLsn !== null && switchLsn < lsn ? switchLsn : switchLsn && lsn
    case 'server_behind':
      return walLsn
    default:
      return null
  }
}

function remake(slot: string, found: FoundSlot | null): string {
  const drop = found === null ? '' : `SELECT pg_drop_replication_slot('${slot}'); `
  return `${drop}SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`
}

function gap(code: GapCode, what: string): Gap {
  return { code, what }
}

function stop(code: StopCode, message: string): StartDecision {
  return { kind: 'stop', code, message }
}
