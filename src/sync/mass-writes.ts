// What writes every row of a table that fits: the sweep after a reading, a TRUNCATE, the forgetting of a table. In slices; between
// those of a sweep and of a forgetting live edits are stored. Each is begun again if interrupted: what is done is not found again.
import type { BackfillProgress, StateCommit } from '../core/capture-port.ts'
import { type Lsn, NO_LSN } from '../core/lsn.ts'
import { sweptWrite, TouchedUsers, truncatedWrite, type UserTouch } from '../core/row-writes.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { WalRoom } from '../core/source-port.ts'
import { ABSENT, byId, type StoredRow } from '../core/source-row.ts'
import type { StateWriter } from './state-writer.ts'

const SLICE = 2_000

/** Tombstones for rows that no page of the run has shown; then the run is at its end. @returns how many. */
export async function sweep(
  writer: StateWriter,
  source: string,
  { wal, ...run }: BackfillProgress & { readonly first: Snapshot; readonly wal: Pick<WalRoom, 'forPage'> },
  signal: AbortSignal,
): Promise<number> {
  const { state } = writer
  let swept = 0
  await inSlices(signal, async (afterKey) => {
    await wal.forPage(signal)
    return await writer.inTurn(async () => {
      const { rows, last } = await state.readUnseen(source, { first: run.first, afterKey, limit: SLICE })
      const finished = last === null
      if (rows.length === 0 && !finished) return last
      const writes = rows.map((row) => sweptWrite(row, { source, first: run.first, era: state.era }))
      const stored = byId(source, new Map(rows.map((row) => [row.key, row])))
      await writer.commit({ writes, stored, touched: losers(rows, now()) }, { lane: 1, backfill: { ...run, finished } })
      if (finished) writer.readingEnded()
      swept += rows.length
      return last
    })
  })
  return swept
}

/** Tombstones for every row that the TRUNCATE removed; the checkpoint does not move. */
export function storeTruncate(
  writer: StateWriter,
  source: string,
  version: { readonly xid: bigint; readonly lsn: Lsn; readonly committedAt: number },
  stop: AbortSignal | null,
): Promise<void> {
  const { state } = writer
  const { xid, lsn, committedAt } = version
  const touch = { changeLsn: lsn, firstChangedAt: committedAt, lastChangedAt: committedAt }
  return writer.inTurn(async () => {
    let truncate: StateCommit['truncate'] = { source, xid, lsn }
    await inSlices(stop, async (afterKey) => {
      const { rows, last } = await state.readTruncated(source, { xid, lsn, afterKey, limit: SLICE })
      const writes = rows.map((row) => truncatedWrite(row, { source, xid, lsn, era: state.era }))
      const stored = byId(source, new Map(rows.map((row) => [row.key, row])))
      if (rows.length > 0 || truncate !== null)
        await writer.commit({ writes, stored, touched: losers(rows, touch) }, { lane: 0, truncate })
      truncate = null
      return last
    })
  })
}

/** Forgets a table that is followed no more: its users lose what its rows gave them. */
export async function forget(writer: StateWriter, source: string, signal: AbortSignal): Promise<void> {
  const { state } = writer
  writer.leaveOut(source)
  await inSlices(signal, (afterKey) =>
    writer.inTurn(async () => {
      const rows = await state.readAny(source, { afterKey, limit: SLICE })
      if (rows.length === 0) return null
      const keys = rows.map((row) => row.key)
      const writes = { writes: [], stored: new Map(), touched: losers(rows, now()) }
      await writer.commit(writes, { lane: 1, forget: { source, keys } })
      return keys.at(-1) ?? null
    }),
  )
}

/** @param slice of the rows after a key; tells the last key that it looked at, null: there are no more. */
async function inSlices(
  signal: AbortSignal | null,
  slice: (afterKey: string | null) => Promise<string | null>,
): Promise<void> {
  for (let afterKey: string | null = null; ; ) {
    signal?.throwIfAborted()
    afterKey = await slice(afterKey)
    if (afterKey === null) return
  }
}

function losers(rows: readonly StoredRow[], touch: UserTouch): TouchedUsers {
  const touched = new TouchedUsers()
  for (const row of rows) touched.add(row, ABSENT, touch)
  return touched
}

/** No change of the source's. */
function now(): UserTouch {
  return { changeLsn: NO_LSN, firstChangedAt: Date.now(), lastChangedAt: Date.now() }
}
