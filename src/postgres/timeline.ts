// Where a server's history parted from an earlier timeline, as its own history file says (a promotion, a restore to a point in
// time). Asked on a replication connection: the file is nobody else's to read.
// https://www.postgresql.org/docs/current/protocol-replication.html
import type pg from 'pg'
import { errorCode } from '../core/error.ts'
import { type Lsn, parseLsn } from '../core/lsn.ts'
import { connectionConfig, openClient, rawTypes } from './connection.ts'

const UNDEFINED_FILE = '58P01'

/** Null when `from` is no ancestor of `now`, or the server has no history file any more. */
export async function readSwitchLsn(
  url: string,
  { from, now }: { readonly from: number; readonly now: number },
): Promise<Lsn | null> {
  const client = await openClient(connectionConfig(url, { applicationName: 'suprsync setup', replication: true }))
  try {
    // The file's text in a column of type bytea, which it is not: left as it comes.
    const query: pg.QueryArrayConfig = { text: `TIMELINE_HISTORY ${now}`, rowMode: 'array', types: rawTypes }
    const { rows } = await client.query<string[]>(query)
    return switchIn(rows[0]?.[1] ?? '', from)
  } catch (error) {
    if (errorCode(error) === UNDEFINED_FILE) return null
    throw error
  } finally {
    await client.end()
  }
}

/** `1\t0/3000060\tno recovery target specified`, a line for each ancestor. Pure. */
export function switchIn(history: string, timeline: number): Lsn | null {
  for (const line of history.split('\n')) {
    const [id, lsn] = line.trim().split(/\s+/)
    if (id === String(timeline) && lsn !== undefined) return parseLsn(lsn)
  }
  return null
}
