// The demo's lines: they fit the terminal's width, and are plain text where there are no colours.
import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { describeCall } from '../../../src/demo/call-text.ts'
import { Screen } from '../../../src/demo/screen.ts'

const body = {
  operations: [
    { $remove: { $email: 'elin20@example.com' } },
    { $unset: ['city'] },
    { $append: { $email: 'elin73@example.com' } },
    { $set: { plan: 'pro' } },
  ],
}

function shown(columns: number, colour: boolean): string {
  let text = ''
  const screen = new Screen({ isTTY: true, columns, write: (part) => (text += part) }, { colour })
  screen.columns()
  const pieces = describeCall({ method: 'PATCH', status: 202, body })
  const what = 'email → elin73@example.com, and more than fits'
  screen.event({ verb: 'UPDATE', who: 'Elin F.', what, call: 'PATCH', pieces, latencyMs: 8.04 })
  return text
}

test('what a request does, in a few words', () => {
  expect(describeCall({ method: 'PATCH', status: 202, body }).map(({ text }) => text)).toEqual([
    '− elin20@example.com',
    '− city',
    '+ elin73@example.com',
    'plan=pro',
  ])
  const post = { $email: ['a@example.com'], $sms: ['+12025550123'], $timezone: 'Europe/Rome', n: 1 }
  expect(describeCall({ method: 'POST', status: 201, body: post }).map(({ text }) => text)).toEqual([
    '+ a@example.com',
    '+ +12025550123',
    '$timezone=Europe/Rome',
    'n=1',
  ])
  expect(describeCall({ method: 'DELETE', status: 204, body: null })).toEqual([])
  expect(describeCall({ method: 'PATCH', status: 'dropped', body: null })).toEqual([
    { text: 'answered dropped', tone: 'bad' },
  ])
})

test.each([64, 80, 100, 120, 200])('no line is wider than a terminal of %i columns', (columns) => {
  const lines = shown(columns, true).split('\n').map(stripVTControlCharacters)
  for (const line of lines) expect(line.length).toBeLessThan(columns)
  expect(lines[1]).toMatch(/8\.0 ms$/)
  expect(lines[0]).toMatch(/after$/)
})

test('colours only where there are any', () => {
  expect(shown(100, true)).toContain('\u001b[')
  expect(shown(100, false)).not.toContain('\u001b')
  expect(shown(100, false)).toBe(stripVTControlCharacters(shown(100, true)))
})

test('what goes on is taken back on a terminal and not shown elsewhere', () => {
  const parts: string[] = []
  const write = (part: string) => parts.push(part)
  const terminal = new Screen({ isTTY: true, columns: 80, write }, { colour: false })
  terminal.meanwhile('starting')
  terminal.done('started')
  expect(parts).toEqual(['  … starting', '\r\u001b[K  ✓ started\n'])
  parts.length = 0
  new Screen({ write }, { colour: false }).meanwhile('starting')
  expect(parts).toEqual([])
})
