// What stands against replicating from this server with this role and this slot. Pure: facts in, findings out; each with
// its stable code (docs/errors.md) and, where SQL mends it, that SQL.
import type { Finding } from '../core/finding.ts'
import { quoteIdentifier } from './identifier.ts'
import type { ReplicationProbe, ServerFacts } from './preflight-facts.ts'
import type { Slot } from './slot.ts'

const OLDEST_VERSION = 140_000
/** A few pages and a burst of the application's own. */
const LEAST_WAL_KEEP_MB = 256

export function versionFindings(version: number): readonly Finding[] {
  if (version >= OLDEST_VERSION) return []
  return [
    {
      code: 'server_too_old',
      level: 'error',
      message: `The server is PostgreSQL ${Math.floor(version / 10_000)}; 14 is the oldest that is supported.`,
    },
  ]
}

export function serverFindings(facts: ServerFacts): readonly Finding[] {
  const findings: Finding[] = []
  if (facts.standby) {
    findings.push({
      code: 'server_is_standby',
      level: 'error',
      message: 'The server is a standby, whose snapshots cannot be trusted; source.url has to lead to the primary.',
    })
  }
  if (facts.walLevel !== 'logical') {
    const found = `wal_level is ${facts.walLevel} and has to be logical`
    findings.push(
      facts.rds
        ? {
            code: 'wal_level_not_logical',
            level: 'error',
            message: `${found}: set rds.logical_replication = 1 in the instance's parameter group and reboot it.`,
          }
        : {
            code: 'wal_level_not_logical',
            level: 'error',
            message: `${found}, which takes effect after a restart of the server.`,
            sql: 'ALTER SYSTEM SET wal_level = logical; -- then restart PostgreSQL',
          },
    )
  }
  if (!facts.canReplicate) {
    const role = quoteIdentifier(facts.role)
    findings.push({
      code: 'role_cannot_replicate',
      level: 'error',
      message: `The role ${role} may not replicate.`,
      sql: facts.rds ? `GRANT rds_replication TO ${role};` : `ALTER ROLE ${role} WITH REPLICATION;`,
    })
  }
  if (facts.walKeepMb === -1) {
    findings.push({
      code: 'no_wal_limit',
      level: 'warning',
      message:
        'max_slot_wal_keep_size is -1: while suprsync is stopped its slot retains WAL until the disk of the server is full.',
      sql: "ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; -- choose what the disk can spare\nSELECT pg_reload_conf();",
    })
  }
  if (facts.walKeepMb >= 0 && facts.walKeepMb < LEAST_WAL_KEEP_MB) {
    findings.push({
      code: 'wal_limit_small',
      level: 'warning',
      message: `max_slot_wal_keep_size is ${facts.walKeepMb} MB: a short outage or burst of writes costs the slot, after which every row is read again; and a first start beside its state is slow.`,
      sql: "ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; -- choose what the disk can spare\nSELECT pg_reload_conf();",
    })
  }
  return findings
}

export interface SlotQuestion {
  readonly name: string
  readonly database: string
}

export function slotFindings(slot: Slot | null, wanted: SlotQuestion): readonly Finding[] {
  if (!slot) return []
  const name = quoteIdentifier(slot.name)
  const foreign = foreignTrait(slot, wanted.database)
  if (foreign !== null) {
    return [
      {
        code: 'slot_foreign',
        level: 'error',
        message: `The slot ${name} belongs to something else (${foreign.what}): choose another source.slot.`,
        cause: foreign.cause,
      },
    ]
  }
  if (slot.walStatus === 'lost' || slot.invalidationReason !== null) {
    // 16 says only `conflicting`, and of a logical slot on a primary WAL is all that can be lost.
    const reason = slot.invalidationReason === 'conflicting' ? null : slot.invalidationReason
    return [
      {
        code: 'slot_lost',
        level: 'error',
        message: `The slot ${name} was invalidated (${reason ?? 'its WAL was removed'}): what was changed since is in no WAL any more.`,
        sql: `SELECT pg_drop_replication_slot('${slot.name}');`,
      },
    ]
  }
  return []
}

function foreignTrait(slot: Slot, database: string): { readonly cause: string; readonly what: string } | null {
  if (slot.slotType === 'physical') return { cause: 'physical', what: 'a physical slot' }
  if (slot.database !== database) return { cause: 'database', what: `database ${slot.database}` }
  if (slot.plugin !== 'pgoutput') return { cause: 'plugin', what: `output plugin ${slot.plugin}` }
  return slot.temporary ? { cause: 'temporary', what: 'a temporary slot' } : null
}

/** Room for one more slot and one more sender, as far as we have not got them already. */
export function capacityFindings(
  facts: ServerFacts,
  slot: Slot | null,
  replication: ReplicationProbe,
): readonly Finding[] {
  const findings: Finding[] = []
  if (slot === null && facts.usedSlots >= facts.maxSlots) {
    findings.push({
      code: 'no_free_slot',
      level: 'error',
      message: `All ${facts.maxSlots} replication slots are in use.`,
      sql: `ALTER SYSTEM SET max_replication_slots = ${facts.maxSlots + 10}; -- then restart PostgreSQL`,
    })
  }
  // The slot's own walsender, when somebody streams from it, is the one that we would take over.
  const taken = facts.usedSenders - (slot?.active ? 1 : 0)
  if (taken >= facts.maxSenders || isSenderShortage(replication)) {
    findings.push({
      code: 'no_free_sender',
      level: 'error',
      message: `All ${facts.maxSenders} WAL senders are in use.`,
      sql: `ALTER SYSTEM SET max_wal_senders = ${facts.maxSenders + 10}; -- then restart PostgreSQL`,
    })
  }
  return findings
}

export function replicationFindings(replication: ReplicationProbe): readonly Finding[] {
  if (replication.kind !== 'failed' || isSenderShortage(replication)) return []
  const { code, message } = replication
  // 42601: the command reached a server that took the connection for an ordinary one, as behind a pooler that drops the
  // parameter. 08P01: PgBouncer, "unsupported startup parameter: replication".
  if (code === '42601' || code === '08P01') {
    return [
      {
        code: 'pooler_in_the_way',
        level: 'error',
        message: `Replication commands are not understood (${message}): source.url has to lead to PostgreSQL itself, not to a pooler.`,
      },
    ]
  }
  return [
    {
      code: 'replication_refused',
      level: 'error',
      message: `The server refuses a replication connection (${message}); pg_hba.conf has to let the role in.`,
      ...(code !== null && { cause: code }),
    },
  ]
}

/** 53300: "number of requested standby connections exceeds "max_wal_senders" (currently 2)", before 18 "max_wal_senders" too. */
function isSenderShortage(replication: ReplicationProbe): boolean {
  return (
    replication.kind === 'failed' && replication.code === '53300' && replication.message.includes('max_wal_senders')
  )
}
