// What becomes of a page that is too slow, or whose table is locked: the run goes on with what is left to try, and the stream beside
// it never ends because of it.
import { expect, test } from 'vitest'
import { SILENT_LOGGER } from '../../../src/core/logger.ts'
import { NO_LSN } from '../../../src/core/lsn.ts'
import type { Table, TextRow } from '../../../src/core/row.ts'
import { parseSnapshot } from '../../../src/core/snapshot.ts'
import type { Pages, WalkedPage } from '../../../src/core/source-port.ts'
import { RunReader } from '../../../src/sync/run-reader.ts'

const table = { key: ['id'], schema: 'public', name: 'users' } as unknown as Table
const TOTAL = 100
const SNAPSHOT = parseSnapshot('10:10:')
const failure = (code: string) => Object.assign(new Error(code), { code })

interface Ways {
  readonly page?: (limit: number) => string | null
  readonly filtered?: (limit: number) => string | null
  readonly walked?: (limit: number) => string | null
}

/** A table of 100 rows of which every tenth fits; each way fails with the code that it is given. */
function reader(ways: Ways, filter: string | null) {
  const asked: string[] = []
  const read = (way: keyof Ways, cursor: TextRow | null, limit: number, step: number): WalkedPage => {
    asked.push(`${way} ${limit}`)
    const code = ways[way]?.(limit) ?? null
    if (code !== null) throw failure(code)
    const from = Number(cursor?.[0] ?? 0)
    const all = Array.from({ length: TOTAL }, (_, at) => at + 1).filter((id) => id > from && id % step === 0)
    const seen = all.slice(0, limit).map((id) => [String(id)])
    const fits = seen.filter(([id]) => filter === null || Number(id) % 10 === 0)
    return {
      snapshot: SNAPSHOT,
      lsn: NO_LSN,
      rows: fits,
      scanned: seen.length,
      sizeBytes: 10,
      last: seen.at(-1) ?? null,
    }
  }
  const pages: Pages = {
    page: async (cursor, limit) => read('page', cursor, limit, 1),
    filtered: async (cursor, limit) => read('filtered', cursor, limit, 10),
    walked: async (cursor, limit) => read('walked', cursor, limit, 1),
    rows: () => Promise.reject(new Error('not asked for')),
    estimateRows: () => Promise.reject(new Error('not asked for')),
  }
  const source = { name: 'public.users', table, pages }
  const run = new RunReader({ source, filter, log: SILENT_LOGGER, lockedMs: 1 })
  const all = async () => {
    const ids: string[] = []
    for (let cursor: TextRow | null = null; ; ) {
      const page = await run.next(cursor, new AbortController().signal)
      ids.push(...(page?.rows ?? []).flatMap(([id]) => id ?? []))
      if (page === null || page.paged) return ids
      cursor = page.last ?? cursor
    }
  }
  return { all, asked }
}

const every = (step: number) => Array.from({ length: TOTAL / step }, (_, at) => String((at + 1) * step))

test('every row, and of a condition those that fit, by whichever way', async () => {
  expect(await reader({}, null).all()).toEqual(every(1))
  expect(await reader({}, 'fits').all()).toEqual(every(10))
  const walking = reader({ filtered: () => '57014' }, 'fits')
  expect(await walking.all()).toEqual(every(10))
  expect(walking.asked.filter((way) => way.startsWith('filtered'))).toHaveLength(1)
})

test('smaller pages where one takes too long; a single row that does is an error', async () => {
  const slow = reader({ page: (limit) => (limit > 3 ? '57014' : null) }, null)
  expect(await slow.all()).toEqual(every(1))
  const never = { filtered: () => '57014', walked: () => '57014' }
  await expect(reader({ page: () => '57014' }, null).all()).rejects.toMatchObject({ code: '57014' })
  await expect(reader(never, 'fits').all()).rejects.toMatchObject({ code: '57014' })
  await expect(reader({ page: () => '42703' }, null).all()).rejects.toMatchObject({ code: '42703' })
})

test('a lock is waited for', async () => {
  let locked = 3
  const waiting = reader({ page: () => (locked-- > 0 ? '55P03' : null) }, null)
  expect(await waiting.all()).toEqual(every(1))
  expect(waiting.asked.slice(0, 4)).toEqual(['page 50', 'page 50', 'page 50', 'page 50'])
})
