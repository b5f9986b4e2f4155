// Transaction ids and snapshots of the source, as PostgreSQL's own visibility rule reads them (DESIGN §6): which of two
// reports about one row is newer is decided by MVCC, never by a clock.
// https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT

export interface Snapshot {
  /** As `pg_snapshot` prints it: `xmin:xmax:xip,xip`. */
  readonly text: string
  /** Every transaction below it is finished. */
  readonly xmin: bigint
  /** No transaction from here on is visible. */
  readonly xmax: bigint
  readonly inProgress: ReadonlySet<bigint>
}

/** @throws RangeError when the text is no snapshot. */
export function parseSnapshot(text: string): Snapshot {
  const [xmin, xmax, list] = text.split(':')
  if (!xmin || !xmax || list === undefined) throw new RangeError('not a pg_snapshot')
  const inProgress = new Set(list === '' ? [] : list.split(',').map(BigInt))
  return { text, xmin: BigInt(xmin), xmax: BigInt(xmax), inProgress }
}

/** The rule of `pg_visible_in_snapshot(xid, snapshot)` for a committed transaction. */
export function sees(snapshot: Snapshot, xid: bigint): boolean {
  if (xid < snapshot.xmin) return true
  if (xid >= snapshot.xmax) return false
  return !snapshot.inProgress.has(xid)
}

/** True when `a` was certainly taken before `b`: a lower xmax, or the same with more still in progress. */
export function isOlder(a: Snapshot, b: Snapshot): boolean {
  return a.xmax < b.xmax || (a.xmax === b.xmax && a.inProgress.size > b.inProgress.size)
}

/** The 64-bit id nearest to `near` whose low 32 bits are `xid`: pgoutput's Begin carries only those. */
export function widenXid(xid: number, near: bigint): bigint {
  const epoch = 1n << 32n
  const candidate = (near & ~(epoch - 1n)) | BigInt(xid >>> 0)
  if (candidate - near > epoch / 2n && candidate >= epoch) return candidate - epoch
  if (near - candidate > epoch / 2n) return candidate + epoch
  return candidate
}
