// Log sequence numbers. Inside the program an LSN is a bigint; its text form exists only in these two functions,
// because PostgreSQL and the replication library spell the same LSN in different ways ("0/1529178", "00000000/01529178").
declare const brand: unique symbol
export type Lsn = bigint & { readonly [brand]: 'Lsn' }

const pattern = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/

/** @throws RangeError when the text is no LSN. */
export function parseLsn(text: string): Lsn {
  const match = pattern.exec(text)
  if (!match) throw new RangeError('not a log sequence number')
  return ((BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)) as Lsn
}

export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`
}

export function lsnFromParts(high: number, low: number): Lsn {
  return ((BigInt(high) << 32n) | BigInt(low)) as Lsn
}

export const NO_LSN = 0n as Lsn

export function later(a: Lsn, b: Lsn): Lsn {
  return a > b ? a : b
}

const WAL_PAGE_BYTES = 8192n
const LONG_HEADER_BYTES = 40n

/**
 * Whether who stands at `position` has passed everything that was written when the server's insert position was `insertLsn`:
 * at the end of a page of WAL that position is behind the next page's header already, and nothing that is streamed ends there.
 * https://github.com/postgres/postgres/blob/master/src/include/access/xlog_internal.h
 */
export function hasReached(position: Lsn, insertLsn: Lsn): boolean {
  const within = insertLsn % WAL_PAGE_BYTES
  return position >= (within <= LONG_HEADER_BYTES ? insertLsn - within : insertLsn)
}
