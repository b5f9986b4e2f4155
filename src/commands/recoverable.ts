// Findings about the slot that `run` mends by itself where a state knows what was followed: then they keep nobody from
// starting. Without a checkpoint there is nothing to recover: a slot of the name is somebody else's, unless a first start that was
// killed has made it.
import type { Config } from '../config/config.ts'
import type { Finding } from '../core/finding.ts'
import { RECOVER_BY_HAND } from '../core/start-decision.ts'
import { connectionConfig, openClient } from '../postgres/connection.ts'
import { openStateDatabase, type StateDatabase } from '../state/database.ts'
import { readCheckpoint } from '../state/ownership.ts'
import { findState } from '../state/report.ts'
import { readSlotKnowledge } from './slot-knowledge.ts'

export async function withoutRecoverable(config: Config, findings: readonly Finding[]): Promise<readonly Finding[]> {
  if (!config.source.create || !findings.some(isOfSlot)) return findings
  const mended = await whatRunMends(config)
  return findings.map((finding) => {
    const how = isOfSlot(finding) ? mended[finding.code] : undefined
    return how === undefined ? finding : { ...finding, level: 'warning', message: `${finding.message} ${how}` }
  })
}

function isOfSlot({ code, cause }: Finding): boolean {
  return code === 'slot_lost' || (code === 'slot_foreign' && cause === 'plugin')
}

/** By code of the finding, how. */
async function whatRunMends({ source, state, recovery }: Config): Promise<{ readonly [code: string]: string }> {
  const db = openStateDatabase({
    connection: connectionConfig(state.url.reveal()),
    schema: state.schema,
    maxConnections: 1,
    onIdleError: () => undefined, // The next statement tells.
  })
  try {
    if ((await findState(db, state.schema)) !== 'there') return {}
    const checkpoint = await readCheckpoint(db)
    if (checkpoint === null) return (await isIntended(source, db)) ? { slot_lost: FIRST_START } : {}
    if (checkpoint.slot !== source.slot) return {}
    const how = recovery === 'manual' ? BY_HAND : RECOVERY
    return { slot_lost: how, slot_foreign: how }
  } catch {
    return {} // It cannot be read, or is of an older version: what was found stands.
  } finally {
    await db.destroy()
  }
}

const RECOVERY = '`run` makes it anew, reads every row again and removes users whose rows are gone.'
const BY_HAND = `\`run\` sends what was captured, and captures no more. ${RECOVER_BY_HAND}`
const FIRST_START =
  'A first start that did not come to its end has made it, and nothing was captured yet: `run` makes it anew.'

async function isIntended(source: Config['source'], db: StateDatabase): Promise<boolean> {
  const client = await openClient(connectionConfig(source.url.reveal()))
  try {
    return (await readSlotKnowledge(client, db, source.slot)).intended
  } finally {
    await client.end()
  }
}
