import { expect, test } from 'vitest'
import { formatTable } from '../../../src/commands/output.ts'

test('columns are as wide as their widest cell, and no line ends in blanks', () => {
  const rows = [
    ['1', 'a longer reason', ''],
    ['1000', '', 'x'],
  ]
  expect(formatTable(['ID', 'REASON', 'KEY'], rows)).toBe(
    ['ID    REASON           KEY', '1     a longer reason', '1000                   x'].join('\n'),
  )
})

test('without rows the header stands alone', () => {
  expect(formatTable(['ID', 'REASON'], [])).toBe('ID  REASON')
})
