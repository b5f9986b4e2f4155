// What a configuration that is read again while the service runs must pass beside the preflight: it is of the same source and
// the same state, and the next stretch of capturing would begin with it. Else the former one stays in force.
import { databaseName } from '../config/address.ts'
import type { Config } from '../config/config.ts'
import { type Finding, hasErrors } from '../core/finding.ts'
import { connectionConfig } from '../postgres/connection.ts'
import { openStateDatabase } from '../state/database.ts'
import { findState } from '../state/report.ts'
import type { Roles } from '../sync/service.ts'
import { checkDatabases, stateFindings } from './preflight.ts'
import { foreseeStop } from './source-start.ts'

/** Who only delivers may not reach the source, and does not begin with it. */
export async function checkReload(was: Config, is: Config, { capture }: Roles): Promise<readonly Finding[]> {
  const changed = otherState(was, is)
  if (changed.length > 0) {
    const keys = changed.join(' and ')
    const message = `${keys} cannot change while the service runs: the slot and the state that are followed would be left behind. Stop it, and see \`suprsync teardown\`.`
    return [{ code: 'restart_needed', level: 'error', message }]
  }
  if (!capture) return await stateFindings(is)
  const findings = await checkDatabases(is)
  return hasErrors(findings) ? findings : [...findings, ...(await foreseen(is))]
}

/** Hosts, roles and passwords may change: of a server that moved, of a role that is rotated. */
function otherState(was: Config, is: Config): readonly string[] {
  const database = (config: Config, of: 'source' | 'state') => databaseName(config[of].url.reveal())
  return [
    ...(was.source.slot === is.source.slot ? [] : ['source.slot']),
    ...(['source', 'state'] as const).flatMap((of) =>
      database(was, of) === database(is, of) ? [] : [`the database of ${of}.url`],
    ),
    ...(was.state.schema === is.state.schema ? [] : ['state.schema']),
  ]
}

async function foreseen(config: Config): Promise<readonly Finding[]> {
  const { url, schema } = config.state
  const state = openStateDatabase({
    connection: connectionConfig(url.reveal()),
    schema,
    maxConnections: 1,
    onIdleError: () => undefined, // The next statement tells.
  })
  try {
    if ((await findState(state, schema)) !== 'there') return []
    const stop = await foreseeStop({ config, state })
    return stop === null ? [] : [{ code: stop.code, level: 'error', message: stop.message }]
  } finally {
    await state.destroy()
  }
}
