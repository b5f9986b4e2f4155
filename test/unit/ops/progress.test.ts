// The progress of a backfill: its text, and when it is shown.
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type LogFields, type Logger, SILENT_LOGGER } from '../../../src/core/logger.ts'
import { Progress } from '../../../src/ops/progress.ts'
import { formatDuration, formatProgress } from '../../../src/ops/progress-text.ts'
import { StatusLine } from '../../../src/ops/status-line.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

function terminal() {
  const writes: string[] = []
  return { writes, line: new StatusLine({ columns: 200, write: (text: string) => writes.push(text) }) }
}

function recorder(): { readonly log: Logger; readonly lines: LogFields[] } {
  const lines: LogFields[] = []
  return { lines, log: { ...SILENT_LOGGER, info: (fields) => void lines.push(fields) } }
}

test('with an estimate: bar, share, rows, rate and time left', () => {
  const state = { label: 'backfill', rows: 250_000, estimatedRows: 1_000_000, rowsPerSecond: 8_200 }
  expect(formatProgress(state)).toBe(
    'backfill ━━━━━━──────────────────  25%  250,000 of ~1,000,000 rows  8,200/s  1m 31s left',
  )
})

test.each([
  ['no estimate', null],
  ['an empty estimate', 0],
  ['an estimate that proved too small', 100],
])('with %s: rows and rate only', (_name, estimatedRows) => {
  const state = { label: 'backfill', rows: 120, estimatedRows, rowsPerSecond: 60 }
  expect(formatProgress(state)).toBe('backfill  120 rows  60/s')
})

test('no time left is claimed before anything moved', () => {
  expect(formatProgress({ label: 'x', rows: 0, estimatedRows: 10, rowsPerSecond: 0 })).not.toContain('left')
})

test.each([
  [0, '0s'],
  [59_400, '59s'],
  [59_600, '1m 00s'],
  [3_599_000, '59m 59s'],
  [7_620_000, '2h 07m'],
])('%i ms is %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text)
})

test('the bar has one width, whatever the figures', () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.nat(), (rows, more, rowsPerSecond) => {
      const text = formatProgress({ label: 'x', rows, estimatedRows: rows + more, rowsPerSecond })
      const bar = /[━─]+/.exec(text)?.[0]
      return rows + more === 0 ? bar === undefined : bar?.length === 24
    }),
  )
})

test('on a terminal it is redrawn at most ten times a second, and never after its end', () => {
  const { writes, line } = terminal()
  const progress = new Progress({ label: 'backfill', estimatedRows: 1000, log: SILENT_LOGGER, line })
  for (let ms = 0; ms < 1000; ms += 1) {
    progress.advance(1)
    vi.advanceTimersByTime(1)
  }
  expect(writes).toHaveLength(10)
  expect(writes[4]).toContain('50%  500 of ~1,000 rows  1,000/s')
  progress.end()
  expect(writes.slice(10).join('')).toMatch(/100%.*\n$/)
  const count = writes.length
  progress.advance(1)
  progress.end()
  progress[Symbol.dispose]()
  vi.advanceTimersByTime(60_000)
  expect(writes).toHaveLength(count)
})

test('elsewhere a line is logged every five seconds; rows of an earlier process do not count for the rate', () => {
  const { log, lines } = recorder()
  const progress = new Progress({ label: 'backfill', estimatedRows: 20_000, resumedRows: 10_000, log, line: null })
  for (let second = 0; second < 10; second += 1) {
    progress.advance(100)
    vi.advanceTimersByTime(1000)
  }
  expect(lines).toEqual([
    { task: 'backfill', rows: 10_500, estimatedRows: 20_000, percent: 52, rowsPerSecond: 100, secondsLeft: 95 },
    { task: 'backfill', rows: 11_000, estimatedRows: 20_000, percent: 55, rowsPerSecond: 100, secondsLeft: 90 },
  ])
  progress.end()
  expect(lines).toHaveLength(3)
  vi.advanceTimersByTime(60_000)
  expect(lines).toHaveLength(3)
})

test('disposing without an end takes the bar away', () => {
  const { writes, line } = terminal()
  {
    using progress = new Progress({ label: 'backfill', estimatedRows: null, log: SILENT_LOGGER, line })
    progress.advance(5)
    vi.advanceTimersByTime(100)
  }
  expect(writes.at(-1)).toBe('\r\u001b[2K')
  expect(writes.at(-2)).toContain('5 rows')
})

test('a line never fills the terminal to its last column', () => {
  const writes: string[] = []
  const line = new StatusLine({ columns: 30, write: (text: string) => writes.push(text) })
  line.draw('x'.repeat(100))
  expect(writes.join('').replace('\r\u001b[2K', '')).toHaveLength(29)
})
