// Rows that must be read again and that no reading sees yet: asked for now and then, not without a pause, and not after a stop.
import { expect, test } from 'vitest'
import type { BatchedRow } from '../../../src/core/change-batch.ts'
import { type Lsn, NO_LSN } from '../../../src/core/lsn.ts'
import { NO_METRICS } from '../../../src/core/metrics.ts'
import { FIRST_PAGE_ROWS } from '../../../src/core/page-size.ts'
import { type Table, UNCHANGED } from '../../../src/core/row.ts'
import { parseSnapshot } from '../../../src/core/snapshot.ts'
import { type MappedTable, RowMapper } from '../../../src/sync/row-mapper.ts'

const TABLE: Table = {
  oid: 1,
  schema: 'public',
  name: 'users',
  key: ['id'],
  unique: [['id']],
  foreignKeys: [],
  columns: [],
  wanted: [],
}
const SEES_NOTHING = parseSnapshot('5:5:')

function unseenRow(id: number): BatchedRow {
  const version = { xid: 9n, commitLsn: 1n as Lsn, committedAt: 0 }
  const key = String(id)
  return {
    table: 1,
    key,
    keyValues: [key],
    row: [key, UNCHANGED],
    version,
    firstCommittedAt: 0,
    varied: false,
    changes: 1,
  }
}

test('more rows than a page takes: a stop is heard after the first page', async () => {
  const stop = new AbortController()
  let readings = 0
  const pages = {
    page: () => Promise.reject(new Error('not asked for')),
    filtered: () => Promise.reject(new Error('not asked for')),
    walked: () => Promise.reject(new Error('not asked for')),
    estimateRows: () => Promise.reject(new Error('not asked for')),
    rows: async () => {
      readings += 1
      stop.abort(new Error('stopped'))
      if (readings > 10) throw new Error('read again and again')
      return { rows: [], snapshot: SEES_NOTHING, lsn: NO_LSN }
    },
  }
  const batch = Array.from({ length: FIRST_PAGE_ROWS * 3 }, (_, index) => unseenRow(index))
  const users: MappedTable = {
    name: 'public.users',
    table: TABLE,
    pages,
    map: () => ({ kind: 'absent', distinctId: null, reasons: [] }),
    mappingHash: 'm',
    ownerHash: 'o',
  }
  const mapper = new RowMapper({ tables: [users], idIsKey: true }, NO_METRICS)
  const signals = { ended: new AbortController().signal, stop: stop.signal }
  await expect(mapper.streamed(batch, signals)).rejects.toThrow('stopped')
  expect(readings).toBe(1)
})
