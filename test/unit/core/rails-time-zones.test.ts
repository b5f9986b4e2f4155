// Each zone that a name of Rails stands for is one that the format takes as it is: else `init` would propose what is left out.
import { expect, test } from 'vitest'
import { applyFormat } from '../../../src/core/formats.ts'
import { RAILS_TIME_ZONES } from '../../../src/core/rails-time-zones.ts'

test('every zone is canonical', () => {
  const names = Object.entries(Object.fromEntries(RAILS_TIME_ZONES))
  expect(names.length).toBeGreaterThan(140)
  for (const [name, zone] of names)
    expect([name, applyFormat('timezone', zone, { region: null })]).toEqual([name, { kind: 'value', value: zone }])
})
