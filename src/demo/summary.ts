// What came of the demo: figures, and the judgement that decides the exit code. Every row of the table is compared with
// every user of the emulator; the figures beside it are counted at both ends, not told by the service.
import type { Profile } from '../core/profile.ts'
import { type Difference, findDifferences } from './comparison.ts'
import { percentile } from './ledger.ts'
import type { Played } from './scenario.ts'
import type { Screen } from './screen.ts'
import type { Stage } from './stage.ts'

export interface Summary {
  /** No difference, and no user was ever set back to an older state. */
  readonly ok: boolean
  /** Rows of the table that the mapping makes users of. */
  readonly rows: number
  readonly users: number
  readonly differences: readonly Difference[]
  readonly setBack: number
  readonly changes: Played['changes']
  readonly calls: { readonly [method: string]: number }
  /** Calls that brought nothing new; after kill -9 what was under way is said again. */
  readonly repeatedCalls: number
  /** Row changes that asked for no call, and how many of them the service says it skipped. */
  readonly noops: { readonly touched: number; readonly rolledBack: number; readonly skipped: number }
  /** From the end of the statement to the acceptance by SuprSend; without the outage. */
  readonly latencyMs: {
    readonly samples: number
    readonly p50: number | null
    readonly p99: number | null
    readonly max: number | null
  }
  readonly outage: Played['outage']
}

export async function summarise(stage: Stage, played: Played): Promise<Summary> {
  const { application, emulator, ledger, map } = stage
  const rows = new Map<string, Profile>()
  for (const row of await application.rows()) {
    const mapped = map(row)
    if (mapped.kind === 'user') rows.set(mapped.distinctId, mapped.profile)
  }
  const users = emulator.users()
  const differences = findDifferences(rows, users)
  const samples = ledger.latenciesMs
  const rounded = (share: number) => {
    const value = percentile(samples, share)
    return value === null ? null : Math.round(value * 10) / 10
  }
  return {
    ok: differences.length === 0 && ledger.backwards === 0,
    rows: rows.size,
    users: users.size,
    differences,
    setBack: ledger.backwards,
    changes: played.changes,
    calls: ledger.calls,
    repeatedCalls: ledger.unexplained,
    noops: { touched: played.touched, rolledBack: played.rolledBack, skipped: played.skipped },
    latencyMs: { samples: samples.length, p50: rounded(0.5), p99: rounded(0.99), max: rounded(1) },
    outage: { ...played.outage, recoveredMs: Math.round(played.outage.recoveredMs) },
  }
}

export function showSummary(screen: Screen, summary: Summary): void {
  const { changes, calls, noops, latencyMs, outage } = summary
  const row = (name: string, ...texts: readonly string[]) => {
    const [figure = '', more = ''] = texts
    screen.line({ text: `  ${name.padEnd(20)}`, tone: 'dim' }, figure, {
      text: more === '' ? '' : `  ${more}`,
      tone: 'dim',
    })
  }
  const list = (counts: { readonly [name: string]: number }) =>
    Object.entries(counts)
      .map(([name, count]) => `${count} ${name}`)
      .join(', ')
  screen.rule('summary')
  row('changes', String(sum(changes)), list(changes))
  row('calls', String(sum(calls)), `${list(calls)}; ${summary.repeatedCalls} said again after kill -9`)
  row('cost nothing', String(noops.touched), `changes of last_seen_at, ${noops.rolledBack} rolled back: not one call`)
  row(
    'commit → accepted',
    `p50 ${latencyMs.p50} ms, p99 ${latencyMs.p99} ms`,
    `slowest of ${latencyMs.samples}: ${latencyMs.max} ms`,
  )
  row(
    'kill -9',
    `${outage.changesWhileDown} changes while down`,
    `caught up in ${(outage.recoveredMs / 1000).toFixed(1)} s`,
  )
  row('compared', `${summary.rows} rows with ${summary.users} users`, 'every value of every one')
  screen.line('')
  if (summary.ok) {
    screen.done('Every row equals its user in SuprSend, and nobody was ever set back.')
    return
  }
  if (summary.setBack > 0) screen.wrong(`${summary.setBack} calls set a user back to an older state.`)
  if (summary.differences.length > 0) screen.wrong(`${summary.differences.length} differences between rows and users:`)
  for (const { kind, distinctId, row: wanted, user } of summary.differences.slice(0, 10)) {
    screen.line(`    user ${distinctId} ${kind.replace('_', ' ')}`)
    screen.line(`      row   ${JSON.stringify(wanted)}`)
    screen.line(`      user  ${JSON.stringify(user)}`)
  }
}

function sum(counts: { readonly [name: string]: number }): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}
