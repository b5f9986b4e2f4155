// What `run` makes of the preflight: databases that come back by themselves are waited for, what only a person can mend ends
// the start, and SuprSend is asked beside it, for it never stops capture. Leaves what is looked at to preflight.ts.
import type { Config } from '../config/config.ts'
import { sleep } from '../core/abort.ts'
import { SuprsyncError } from '../core/error.ts'
import type { Finding } from '../core/finding.ts'
import type { Logger } from '../core/logger.ts'
import { reconnectDelayMs } from '../core/reconnect.ts'
import type { Roles } from '../sync/service.ts'
import { checkApi, checkDatabases, stateFindings } from './preflight.ts'

export interface StartOptions {
  readonly config: Config
  readonly roles: Roles
  readonly log: Logger
  /** Told at each failed attempt: what /readyz answers meanwhile. */
  readonly onWaiting: (finding: Finding) => void
}

/**
 * Resolves when capture may start, or when `stop` aborts: who waits looks at the signal.
 * @throws SuprsyncError `preflight_failed`
 */
export async function passPreflight({ config, roles, log, onWaiting }: StartOptions, stop: AbortSignal): Promise<void> {
  const startedAt = performance.now()
  for (let failures = 1; ; failures += 1) {
    const findings = roles.capture ? await checkDatabases(config) : await stateFindings(config)
    // What was found while being stopped is of no interest, and may come of the stop.
    if (stop.aborted) return
    for (const finding of findings) if (finding.level === 'warning') log.warn(fieldsOf(finding), finding.message)
    const errors = findings.filter(({ level }) => level === 'error')
    const [first] = errors
    if (first === undefined) break
    const waits = errors.every(isPassing)
    for (const finding of errors) log[waits ? 'warn' : 'error'](fieldsOf(finding), finding.message)
    if (!waits) throw preflightFailed(errors)
    onWaiting(first)
    const code = first.cause === 'dns' ? 'ENOTFOUND' : undefined
    await sleep(
      reconnectDelayMs({ code, failures, downMs: performance.now() - startedAt, random: Math.random() }),
      stop,
    )
    if (stop.aborted) return
  }
  void reportApi(config, log, stop)
}

/** Never rejects. */
async function reportApi(config: Config, log: Logger, stop: AbortSignal): Promise<void> {
  try {
    const findings = await checkApi(config, stop)
    if (stop.aborted) return
    for (const finding of findings) if (finding.level === 'error') log.error(fieldsOf(finding), finding.message)
  } catch (error) {
    log.debug({ err: error }, 'suprsend could not be checked')
  }
}

/** Causes that somebody has to mend in the URL, in pg_hba.conf or in the server: waiting would hide them (docs/errors.md). */
const CONFIGURED: ReadonlySet<string | undefined> = new Set([
  'password',
  'role',
  'host_based',
  'database',
  'denied',
  'tls',
])

/** A database that is down or starting comes back by itself; so does a sender when a former process lets go of it. */
export function isPassing({ code, cause }: Finding): boolean {
  return code === 'no_free_sender' || (code === 'server_unreachable' && !CONFIGURED.has(cause))
}

function preflightFailed(errors: readonly Finding[]): SuprsyncError {
  const what = errors.length === 1 ? 'A precondition is' : `${errors.length} preconditions are`
  return new SuprsyncError('preflight_failed', `${what} not met: ${errors.map(({ code }) => code).join(', ')}.`, {
    details: { next: 'Run `suprsync check` for what to do about each.' },
  })
}

function fieldsOf({ code, sql, cause }: Finding): { readonly [name: string]: string } {
  return { code, ...(sql !== undefined && { sql }), ...(cause !== undefined && { cause }) }
}
