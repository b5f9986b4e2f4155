// Fail points: fire once, at the scripted count of the scripted name.
import { expect, test } from 'vitest'
import { NO_FAIL_POINTS, scriptedFailPoints } from '../../../src/core/fail-points.ts'

test('fires at the given count of its own name, and only then', () => {
  let fired = 0
  const points = scriptedFailPoints('before_confirm:3', () => {
    fired += 1
  })
  const after = (name: Parameters<typeof points.hit>[0]) => {
    points.hit(name)
    return fired
  }
  expect([after('before_confirm'), after('after_decode'), after('before_confirm'), after('in_backfill')]).toEqual([
    0, 0, 0, 0,
  ])
  expect([after('before_confirm'), after('before_confirm')]).toEqual([1, 1])
})

test('without a script nothing happens', () => {
  expect(NO_FAIL_POINTS.hit('after_answer')).toBeUndefined()
})

test.for([
  '',
  'before_confirm',
  'before_confirm:',
  ':1',
  'before_confirm:x',
  'before_confirm:-1',
  'before_confirm:0',
  'a b:1',
  'no_such_point:1',
])('%j is no script', (script) => {
  expect(() => scriptedFailPoints(script, () => undefined)).toThrow(expect.objectContaining({ code: 'usage_invalid' }))
})
