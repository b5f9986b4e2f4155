// The invented people: repeatable, unreachable, and an edit always changes something.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalPhone } from '../../../src/core/phone.ts'
import { type Chance, newEdit, newPerson, seededChance } from '../../../src/demo/people.ts'

/** Kept free for fiction by the regulators of GB, US and Canada, France and Germany. */
const FICTION = /^(\+447700900\d{3}|\+1\d{3}55501\d{2}|\+3363998\d{4}|\+49171392 ?00\d{2})$/

function life(chance: Chance, edits: number) {
  let person = newPerson(chance)
  const lives = [person]
  for (let count = 0; count < edits; count += 1) {
    person = { ...person, ...newEdit(person, chance).set }
    lives.push(person)
  }
  return lives
}

test('addresses and numbers reach nobody, and every edit changes the person', () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const lives = life(seededChance(seed), 30)
      for (const [at, person] of lives.entries()) {
        expect(person.email).toMatch(/^[a-z]+\d+@example\.com$/)
        const phone = person.phone === null ? null : canonicalPhone(person.phone, person.country)
        if (phone !== null) expect(phone).toMatch(FICTION)
        else expect([null, 'ask me']).toContain(person.phone)
        if (at > 0) expect(person).not.toEqual(lives[at - 1])
      }
    }),
  )
})

test('a seed tells the whole life', () => {
  expect(life(seededChance(5), 20)).toEqual(life(seededChance(5), 20))
  expect(life(seededChance(5), 20)).not.toEqual(life(seededChance(6), 20))
})
