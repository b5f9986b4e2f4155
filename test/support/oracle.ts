// The oracle of every fault test (DESIGN §12): SuprSend's users equal the mapping of the table's rows, minus the failed
// ones, and no user was ever seen to go back. Reads the rows by its own pages and maps them by core's mapping; of the
// service's state it only asks whether work is left. For `on_delete: delete`.
import { setTimeout as delay } from 'node:timers/promises'
import { compileTables, wantedTables } from '../../src/commands/compiled-tables.ts'
import type { Config } from '../../src/config/config.ts'
import type { RemoteUser } from '../../src/core/api.ts'
import { canonical, type Json, type JsonObject } from '../../src/core/json.ts'
import type { Profile } from '../../src/core/profile.ts'
import { compareKeys } from '../../src/core/profile-merge.ts'
import { rowKey, type Table, type TextRow } from '../../src/core/row.ts'
import type { Emulator } from '../../src/emulator/emulator.ts'
import { describeTable } from '../../src/postgres/catalogue.ts'
import { PageReader } from '../../src/postgres/pages.ts'
import type { TestDatabase } from './database.ts'
import { ROLLED_BACK } from './workload.ts'

export interface Converging {
  readonly database: TestDatabase
  readonly emulator: Emulator
  readonly config: Config
  /** Where the service's state is; default: in the database. */
  readonly state?: TestDatabase
  /** Users that SuprSend rejects: whatever it holds of them is right. */
  readonly failedIds?: readonly string[]
  readonly timeoutMs?: number
}

/** Waits until nothing is left to do and every user is as its row says; else fails with the precise difference. */
export async function expectConverged(options: Converging): Promise<void> {
  const { database, emulator, config, failedIds = [], timeoutMs = 20_000 } = options
  const expected = await expectedUsers(database, config)
  const deadline = performance.now() + timeoutMs
  for (;;) {
    // Work first: what is done before the comparison cannot change it afterwards. And the comparison is not cheap.
    const waiting = await usersWaiting(options)
    const late = performance.now() > deadline
    if (waiting === 0 || late) {
      const differences = compare(expected, emulator.users(), new Set(failedIds))
      if (waiting === 0 && differences.length === 0) return
      if (late) {
        const some = await explain(options, differences.slice(0, 5))
        throw new Error(
          `SuprSend does not equal the table after ${timeoutMs} ms: ${differences.length} users differ, ${waiting} are due\n${some}`,
        )
      }
    }
    await delay(50)
  }
}

interface Difference {
  readonly distinctId: string
  readonly expected: string | null
  readonly found: string | null
}

/** What SuprSend should hold by the tables as they are now. */
export async function expectedUsers(database: TestDatabase, config: Config): Promise<ReadonlyMap<string, string>> {
  const tables: Table[] = []
  for (const { name, columns } of wantedTables(config)) {
    const described = await describeTable(database.pool, name, columns)
    if (described.kind !== 'ok') throw new Error('the oracle finds no table')
    tables.push(described.table)
  }
  const compiled = compileTables(config.mapping, tables)
  if (compiled.kind !== 'ok') throw new Error('the oracle cannot compile the mapping')
  const users = new Map<string, { readonly key: string; readonly profile: Profile }>()
  const children = new Map<string, Profile[]>()
  for (const [at, table] of tables.entries()) {
    for await (const row of rowsOf(database, table)) {
      const mapped = compiled.maps[at]?.(row)
      if (mapped?.kind === 'child') {
        children.set(mapped.userKey, [...(children.get(mapped.userKey) ?? []), mapped.profile])
      } else if (mapped?.kind === 'user') {
        const key = rowKey(table, row)
        const other = users.get(mapped.distinctId)
        if (!other || compareKeys(key, other.key) < 0) users.set(mapped.distinctId, { key, profile: mapped.profile })
      }
    }
  }
  return new Map(
    [...users].map(([distinctId, { key, profile }]) => [
      distinctId,
      comparable(together([profile, ...(children.get(key) ?? [])])),
    ]),
  )
}

async function* rowsOf(database: TestDatabase, table: Table): AsyncGenerator<TextRow> {
  const pages = new PageReader(database.pool, table)
  for (let cursor: TextRow | null = null; ; ) {
    const { rows } = await pages.page(cursor, 5_000)
    yield* rows
    const last = rows.at(-1)
    if (!last) return
    cursor = last.slice(0, table.key.length)
  }
}

/** By its own means, not core's: the oracle must not share a mistake. */
function together(parts: readonly Profile[]): RemoteUser {
  const channels: Record<string, Json[]> = {}
  for (const part of parts) {
    for (const [key, values] of Object.entries(part.channels)) {
      const known = channels[key] ?? []
      const seen = new Set(known.map((value) => canonical(value)))
      channels[key] = [...known, ...values.filter((value) => !seen.has(canonical(value)))]
    }
  }
  return { channels, properties: Object.assign({}, ...parts.map(({ properties }) => properties)) }
}

/** Channels are sets: SuprSend keeps them in the order in which they came. */
function comparable({ channels, properties }: RemoteUser): string {
  const sets = Object.entries(channels).map(([key, values]) => [key, values.map((value) => canonical(value)).sort()])
  return canonical({ channels: Object.fromEntries(sets), properties } as JsonObject)
}

function compare(
  expected: ReadonlyMap<string, string>,
  users: ReadonlyMap<string, RemoteUser>,
  failed: ReadonlySet<string>,
): readonly Difference[] {
  const differences: Difference[] = []
  for (const distinctId of new Set([...expected.keys(), ...users.keys()])) {
    if (failed.has(distinctId)) continue
    const user = users.get(distinctId)
    const found = user ? comparable(user) : null
    const wanted = expected.get(distinctId) ?? null
    if (found !== wanted) differences.push({ distinctId, expected: wanted, found })
  }
  return differences
}

async function usersWaiting({ database, state = database, config, failedIds = [] }: Converging): Promise<number> {
  const [row] = await state.query<{ waiting: number }>(
    `SELECT count(*)::int AS waiting FROM ${config.state.schema}.profile
     WHERE (due_at IS NOT NULL OR sending <> '[]' OR parked) AND NOT distinct_id = ANY($1)`,
    [failedIds],
  )
  return row?.waiting ?? 0
}

async function explain(
  { database, state: store = database, emulator, config }: Converging,
  some: readonly Difference[],
): Promise<string> {
  const lines: string[] = []
  for (const { distinctId, expected, found } of some) {
    const state = await store.query(`SELECT * FROM ${config.state.schema}.profile WHERE distinct_id = $1`, [distinctId])
    const rows = await store.query(
      `SELECT key, part, change_xid::text, change_lsn::text, read_snapshot::text FROM ${config.state.schema}.source_row WHERE distinct_id = $1`,
      [distinctId],
    )
    lines.push(
      `user ${distinctId}\n  expected ${expected}\n  found    ${found}`,
      `  state    ${JSON.stringify(state)}\n  rows     ${JSON.stringify(rows)}`,
      ...emulator
        .history(distinctId)
        .slice(-6)
        .map((entry) => `  history  ${JSON.stringify(entry)}`),
    )
  }
  return lines.join('\n')
}

/**
 * No user was ever older than before, and no rolled-back change was ever sent. Needs the profile to carry `version`, which
 * the workload draws from one sequence: even a user who is deleted and comes back has a higher one.
 */
export function expectNeverBack(emulator: Emulator, distinctIds: Iterable<string>): void {
  for (const distinctId of distinctIds) {
    let newest = 0
    const seen: string[] = []
    for (const { method, state } of emulator.history(distinctId)) {
      const version = state?.properties.version
      seen.push(`${method} ${String(version)}`)
      if (state?.properties.name === ROLLED_BACK) throw new Error(`user ${distinctId} was sent a rolled-back change`)
      if (typeof version !== 'number') continue
      if (version < newest) throw new Error(`user ${distinctId} went back: ${seen.join(', ')}`)
      newest = version
    }
  }
}
