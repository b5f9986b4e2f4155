// What SuprSend is to hold of a user while tables are read again under another mapping.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { meanwhileOfEdit, meanwhileOfPage, takenBy } from '../../../src/core/parking.ts'
import { documentOf, type Profile, type ProfileDocument } from '../../../src/core/profile.ts'

const HELD: Profile = { channels: { $email: ['a@x.io', 'b@x.io'], $sms: ['+1'] }, properties: { name: 'A', plan: 'x' } }
const before = documentOf(HELD)

function profile(channels: Profile['channels'], properties: Profile['properties'] = HELD.properties): Profile {
  return { channels, properties }
}

function parse(document: ProfileDocument | null): Profile | null {
  return document && (JSON.parse(document.text) as Profile)
}

test.each<[string, Profile | null, boolean]>([
  ['gains', profile({ ...HELD.channels, $inbox: ['i'] }), false],
  ['has another order', profile({ ...HELD.channels, $email: ['b@x.io', 'a@x.io'] }), false],
  ['has another spelling', profile({ ...HELD.channels, $email: ['A@x.io', 'b@x.io'] }), false],
  ['has another property value', profile(HELD.channels, { name: 'B', plan: 'x' }), false],
  ['loses one of two', profile({ ...HELD.channels, $email: ['b@x.io'] }), true],
  ['has one replaced', profile({ ...HELD.channels, $sms: ['+2'] }), true],
  ['loses a channel', profile({ $email: HELD.channels.$email ?? [] }), true],
  ['loses a property', profile(HELD.channels, { name: 'A' }), true],
  ['is gone', null, true],
])('a page after which a user %s', (_, desired, waits) => {
  const user = { desired: desired && documentOf(desired), before }
  expect(meanwhileOfPage(user)).toEqual(waits ? before : user.desired)
})

const REPLACED = profile({ $email: ['new@x.io', 'b@x.io'], $sms: ['+1'] }, { name: 'B' })

test.each<[string, Profile | null, readonly Profile[], Profile | null]>([
  [
    'keeps what may come from a row that is not read yet, and gains at once',
    REPLACED,
    [],
    profile({ $email: ['new@x.io', 'b@x.io', 'a@x.io'], $sms: ['+1'] }, { name: 'B', plan: 'x' }),
  ],
  ['loses what the edit itself took away', REPLACED, [profile({ $email: ['a@x.io'] }, { plan: 'x' })], REPLACED],
  ['whose row is deleted is gone', null, [], null],
])('after an edit a user %s', (_, desired, taken, expected) => {
  expect(parse(meanwhileOfEdit({ desired: desired && documentOf(desired), before }, taken))).toEqual(expected)
})

test('who was nobody is at once as the rows say', () => {
  expect(meanwhileOfEdit({ desired: before, before: null }, [])).toEqual(before)
  expect(meanwhileOfPage({ desired: before, before: null })).toEqual(before)
})

const some = fc.uniqueArray(fc.constantFrom('a@x.io', 'b@x.io', 'c@x.io', 'd@x.io'), { minLength: 0, maxLength: 4 })
const anyProfile = fc
  .record({ $email: some, names: fc.uniqueArray(fc.constantFrom('n', 'm', 'o')) })
  .map(({ $email, names }): Profile => {
    return {
      channels: $email.length === 0 ? {} : { $email },
      properties: Object.fromEntries(names.map((name) => [name, name])),
    }
  })

test('nothing is missing that was there and that the edit did not take away, and nothing that the rows say', () => {
  fc.assert(
    fc.property(anyProfile, anyProfile, anyProfile, anyProfile, (was, now, former, row) => {
      const taken = [takenBy(former, row)]
      const user = { desired: documentOf(now), before: documentOf(was) }
      const held = parse(meanwhileOfEdit(user, taken))
      const gone = new Set((taken[0]?.channels.$email ?? []).filter((value) => !now.channels.$email?.includes(value)))
      const wanted = new Set([
        ...(now.channels.$email ?? []),
        ...(was.channels.$email ?? []).filter((it) => !gone.has(it)),
      ])
      expect(new Set(held?.channels.$email ?? [])).toEqual(wanted)
      for (const name of Object.keys(now.properties)) expect(held?.properties).toHaveProperty(name)
    }),
  )
})
