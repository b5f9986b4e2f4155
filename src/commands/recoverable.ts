// Findings about the slot that `run` mends by itself where a state knows what was followed: then they keep nobody from
// starting. Without a checkpoint there is nothing to recover, and a slot of the name is somebody else's.
import type { Config } from '../config/config.ts'
import type { Finding } from '../core/finding.ts'
import { connectionConfig } from '../postgres/connection.ts'
import { openStateDatabase } from '../state/database.ts'
import { readCheckpoint } from '../state/ownership.ts'
import { findState } from '../state/report.ts'

export async function withoutRecoverable(config: Config, findings: readonly Finding[]): Promise<readonly Finding[]> {
  const { source, recovery } = config
  if (recovery === 'manual' || !source.create || !findings.some(isOfSlot)) return findings
  if ((await knownSlot(config)) !== source.slot) return findings
  return findings.map((finding) =>
    isOfSlot(finding)
      ? {
          ...finding,
          level: 'warning',
          message: `${finding.message} \`run\` makes it anew, reads every row again and removes users whose rows are gone.`,
        }
      : finding,
  )
}

function isOfSlot({ code, cause }: Finding): boolean {
  return code === 'slot_lost' || (code === 'slot_foreign' && cause === 'plugin')
}

/** The slot of the checkpoint; null: there is no state that could be read. */
async function knownSlot({ state }: Config): Promise<string | null> {
  const db = openStateDatabase({
    connection: connectionConfig(state.url.reveal()),
    schema: state.schema,
    maxConnections: 1,
    onIdleError: () => undefined, // The next statement tells.
  })
  try {
    return (await findState(db, state.schema)) === 'there' ? ((await readCheckpoint(db))?.slot ?? null) : null
  } catch {
    return null // It cannot be read, or is of an older version: what was found stands.
  } finally {
    await db.destroy()
  }
}
