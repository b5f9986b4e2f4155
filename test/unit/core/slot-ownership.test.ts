// Whose a slot of our name is.
import { expect, test } from 'vitest'
import { parseLsn } from '../../../src/core/lsn.ts'
import { type SlotKnowledge, type SlotOfName, whyNotOurs } from '../../../src/core/slot-ownership.ts'

const at = (position: string) => parseLsn(`0/${position}`)
const SLOT: SlotOfName = { plugin: 'pgoutput', database: 'app', activePid: null, confirmedLsn: at('100') }
const KNOWN: SlotKnowledge = { intended: true, lsn: at('200') }

test.each<[string, Partial<SlotOfName>, Partial<SlotKnowledge>, RegExp | null]>([
  ['captured from', {}, {}, null],
  ['captured from, made by somebody for us', {}, { intended: false }, null],
  ['made, and nothing captured yet', {}, { lsn: null }, null],
  ['lost', { confirmedLsn: null }, {}, null],
  ['never made', {}, { intended: false, lsn: null }, /has not made it/],
  ['of another database', { database: 'other' }, {}, /another database/],
  ['of a standby', { database: null, plugin: null }, {}, /another database/],
  ['of another plugin', { plugin: 'wal2json' }, {}, /plugin/],
  ['used by somebody', { activePid: 7 }, {}, /process 7/],
  ['ahead of what was captured', { confirmedLsn: at('201') }, {}, /ahead/],
])('a slot that was %s', (_, slot, known, why) => {
  const found = whyNotOurs({ ...SLOT, ...slot }, 'app', { ...KNOWN, ...known })
  if (why === null) expect(found).toBeNull()
  else expect(found).toMatch(why)
})
