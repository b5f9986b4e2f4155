// What to do at start: the whole table. Only certainty goes on; every gap is mended by reading everything, or stops with what to
// do about it.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Lsn } from '../../../src/core/lsn.ts'
import {
  decideStart,
  type FoundServer,
  type FoundSlot,
  type KnownCheckpoint,
  mayHaveForgotten,
  type StartDecision,
  type StartFacts,
  UNREADABLE,
} from '../../../src/core/start-decision.ts'

const lsn = (n: number) => BigInt(n) as Lsn
const SLOT: FoundSlot = {
  plugin: 'pgoutput',
  database: 'app',
  confirmedFlushLsn: lsn(100),
  lost: false,
  ours: true,
  active: false,
}
const SERVER: FoundServer = {
  systemIdentifier: '7',
  timeline: 1,
  switchLsn: null,
  walLsn: lsn(300),
  database: 'app',
  tableOid: 5,
  published: true,
  unreadable: null,
  slot: SLOT,
}
const CHECKPOINT: KnownCheckpoint = {
  systemIdentifier: '7',
  timeline: 1,
  slot: 's',
  tableOid: 5,
  lsn: lsn(100),
  pagesLsn: lsn(90),
}

interface Case {
  readonly checkpoint?: Partial<KnownCheckpoint> | null
  readonly server?: Partial<Omit<FoundServer, 'slot'>>
  readonly slot?: Partial<FoundSlot> | null
  readonly settings?: Partial<Pick<StartFacts, 'recovery' | 'create'>>
}

function decide({ checkpoint = {}, server, slot = {}, settings }: Case): StartDecision {
  return decideStart({
    ...{ slot: 's', create: true, recovery: 'auto', ...settings },
    checkpoint: checkpoint && { ...CHECKPOINT, ...checkpoint },
    server: { ...SERVER, ...server, slot: slot && { ...SLOT, ...slot } },
  })
}

/** As one word: what is done, why, and how the slot is come by. */
function word(decision: StartDecision): string {
  switch (decision.kind) {
    case 'stop':
      return `stop ${decision.code}`
    case 'recover': {
      const { kind } = decision.slot
      return `${decision.code}: ${decision.slot.kind === 'adopt' ? `adopt at ${decision.slot.lsn}` : kind} the slot`
    }
    case 'adopt_slot':
      return `adopt_slot at ${decision.lsn}`
    default:
      return decision.kind
  }
}

const FIRST = null
const PROMOTED = { timeline: 2 }
const MANUAL = { recovery: 'manual' } as const
const GIVEN = { create: false }

test.for<readonly [string, Case, string]>([
  ['first start', { checkpoint: FIRST, slot: null }, 'create_slot'],
  ['first start, killed after the slot', { checkpoint: FIRST }, 'adopt_slot at 100'],
  [
    'first start, killed after the slot, which has lost WAL',
    { checkpoint: FIRST, slot: { lost: true } },
    'replace_slot',
  ],
  [
    'first start, a slot that was never consistent',
    { checkpoint: FIRST, slot: { confirmedFlushLsn: null } },
    'replace_slot',
  ],
  [
    'first start, a slot of somebody else has lost WAL',
    { checkpoint: FIRST, slot: { lost: true, ours: false } },
    'stop slot_lost',
  ],
  [
    'first start, the slot that we were given has lost WAL',
    { checkpoint: FIRST, slot: { lost: true }, settings: GIVEN },
    'stop slot_lost',
  ],
  [
    'first start, the slot of another plugin',
    { checkpoint: FIRST, slot: { plugin: 'test_decoding' } },
    'stop slot_foreign',
  ],
  ['first start, a physical slot', { checkpoint: FIRST, slot: { plugin: null, database: null } }, 'stop slot_foreign'],
  [
    'first start, the slot of another database',
    { checkpoint: FIRST, slot: { database: 'other' } },
    'stop slot_foreign',
  ],
  ['first start, a slot that somebody else made', { checkpoint: FIRST, slot: { ours: false } }, 'stop slot_foreign'],
  ['first start, somebody streams from the slot', { checkpoint: FIRST, slot: { active: true } }, 'stop slot_foreign'],

  ['slot at the checkpoint', {}, 'go_on'],
  ['slot in use, by whom we are about to end', { slot: { active: true, ours: false } }, 'go_on'],
  ['slot behind the checkpoint: killed before the confirmation', { slot: { confirmedFlushLsn: lsn(99) } }, 'go_on'],
  ['another slot in the configuration', { checkpoint: { slot: 'former' } }, 'stop slot_renamed'],
  [
    'another slot in the configuration, not made yet',
    { checkpoint: { slot: 'former' }, slot: null },
    'stop slot_renamed',
  ],

  ['slot gone', { slot: null }, 'slot_missing: create the slot'],
  ['slot invalidated', { slot: { lost: true } }, 'slot_lost: replace the slot'],
  ['slot without a position', { slot: { confirmedFlushLsn: null } }, 'slot_lost: replace the slot'],
  ['slot made again for another plugin', { slot: { plugin: 'wal2json' } }, 'slot_wrong_plugin: replace the slot'],
  ['slot of another database', { slot: { database: 'other' } }, 'stop slot_foreign'],
  ['a standby’s slot', { slot: { plugin: null, database: null } }, 'stop slot_foreign'],
  ['slot ahead by a byte', { slot: { confirmedFlushLsn: lsn(101) } }, 'slot_ahead: adopt at 101 the slot'],
  [
    'slot ahead, and somebody streams from it',
    { slot: { confirmedFlushLsn: lsn(101), active: true } },
    'stop slot_ahead',
  ],

  [
    'another cluster without the slot',
    { checkpoint: { systemIdentifier: '8' }, slot: null },
    'server_replaced: create the slot',
  ],
  [
    'another cluster, a recovery that was killed',
    { checkpoint: { systemIdentifier: '8' } },
    'server_replaced: adopt at 100 the slot',
  ],
  [
    'another cluster with a slot that somebody made',
    { checkpoint: { systemIdentifier: '8' }, slot: { ours: false } },
    'stop slot_foreign',
  ],
  [
    'restored: the server is behind the state',
    { server: { walLsn: lsn(99) }, slot: { confirmedFlushLsn: lsn(80) } },
    'server_behind: adopt at 99 the slot',
  ],

  ['promoted, the slot came along, and all we saw', { server: { ...PROMOTED, switchLsn: lsn(100) } }, 'go_on'],
  [
    'promoted behind what was captured',
    { server: { ...PROMOTED, switchLsn: lsn(98) }, slot: { confirmedFlushLsn: lsn(97) } },
    'timeline_changed: adopt at 98 the slot',
  ],
  [
    'promoted behind what a page has shown',
    { checkpoint: { pagesLsn: lsn(120) }, server: { ...PROMOTED, switchLsn: lsn(110) } },
    'timeline_changed: adopt at 100 the slot',
  ],
  ['promoted, from a timeline that is no ancestor', { server: PROMOTED }, 'timeline_changed: adopt at 100 the slot'],
  ['restored to an earlier timeline', { checkpoint: { timeline: 3 } }, 'timeline_changed: adopt at 100 the slot'],
  ['promoted without the slot', { server: PROMOTED, slot: null }, 'slot_missing: create the slot'],
  [
    'promoted, the slot recreated ahead',
    { server: PROMOTED, slot: { confirmedFlushLsn: lsn(200) } },
    'slot_ahead: adopt at 200 the slot',
  ],

  [
    'another table of the same name',
    { checkpoint: { tableOid: 4 }, slot: { confirmedFlushLsn: lsn(90) } },
    'table_replaced: adopt at 100 the slot',
  ],
  ['publication gone', { server: { published: false } }, 'publication_missing: replace the slot'],
  ['publication and slot gone', { server: { published: false }, slot: null }, 'slot_missing: create the slot'],
  [
    'publication gone, slot ahead',
    { server: { published: false }, slot: { confirmedFlushLsn: lsn(101) } },
    'slot_ahead: replace the slot',
  ],
  ['changes that do not tell their rows', { server: { unreadable: 'keys' } }, 'rows_unnamed: replace the slot'],
  ['publication made again', { server: { unreadable: 'publication' } }, 'publication_missing: replace the slot'],

  ['by hand: slot gone', { slot: null, settings: MANUAL }, 'stop slot_missing'],
  ['by hand: slot ahead', { slot: { confirmedFlushLsn: lsn(101) }, settings: MANUAL }, 'stop slot_ahead'],
  [
    'by hand: another cluster',
    { checkpoint: { systemIdentifier: '8' }, slot: null, settings: MANUAL },
    'stop server_replaced',
  ],
  ['by hand: nothing missing', { settings: MANUAL }, 'go_on'],
  ['not ours to make: slot gone', { slot: null, settings: GIVEN }, 'stop slot_missing'],
  ['not ours to make: slot lost', { slot: { lost: true }, settings: GIVEN }, 'stop slot_lost'],
  [
    'not ours to make: the operator made it anew',
    { slot: { confirmedFlushLsn: lsn(101) }, settings: GIVEN },
    'slot_ahead: adopt at 101 the slot',
  ],
  ['not ours to make: publication gone', { server: { published: false }, settings: GIVEN }, 'stop publication_missing'],
])('%s', ([, given, expected]) => {
  expect(word(decide(given))).toBe(expected)
})

test.each<[string, Partial<Case>, boolean, boolean]>([
  ['the state is where it was', {}, true, false],
  ['promoted together with the state', { server: { timeline: 2, switchLsn: lsn(200) } }, true, true],
  ['promoted, the state elsewhere', { server: { timeline: 2, switchLsn: lsn(200) } }, false, false],
  ['a slot ahead: the state may have been restored', { slot: { confirmedFlushLsn: lsn(101) } }, false, true],
  ['another cluster with the state in it', { checkpoint: { systemIdentifier: '8' }, slot: null }, true, true],
  ['the slot is gone', { slot: null }, true, false],
  ['a first start', { checkpoint: null, slot: null }, true, false],
])('whether what was sent may be forgotten: %s', (_, given, isBeside, expected) => {
  const checkpoint = given.checkpoint === null ? null : { ...CHECKPOINT, ...given.checkpoint }
  const server = { ...SERVER, ...given.server, slot: given.slot === null ? null : { ...SLOT, ...given.slot } }
  expect(mayHaveForgotten(decide(given), { checkpoint, server }, isBeside)).toBe(expected)
})

test.for([MANUAL, GIVEN])('who has to act is told what to do', (settings) => {
  for (const slot of [null, { lost: true }]) {
    const decision = decide({ slot, settings })
    const what = settings === MANUAL ? /run --recover/ : /pg_create_logical_replication_slot\('s', 'pgoutput'\)/
    expect(decision).toMatchObject({ kind: 'stop', message: expect.stringMatching(what) })
  }
})

describe('in every combination', () => {
  const position = fc.integer({ min: 98, max: 102 }).map(lsn)
  const slot = fc.option(
    fc.record({
      plugin: fc.constantFrom('pgoutput', 'test_decoding', null),
      database: fc.constantFrom('app', 'other', null),
      confirmedFlushLsn: fc.option(position),
      lost: fc.boolean(),
      ours: fc.boolean(),
      active: fc.boolean(),
    }),
  )
  const identity = { systemIdentifier: fc.constantFrom('7', '8'), timeline: fc.constantFrom(1, 2) }
  const checkpoint = fc.option(
    fc.record({
      ...identity,
      tableOid: fc.constantFrom(5, 6),
      slot: fc.constantFrom('s', 'former'),
      lsn: position,
      pagesLsn: position,
    }),
  )
  const server = fc.record({
    ...identity,
    switchLsn: fc.option(position),
    walLsn: fc.option(position),
    database: fc.constant('app'),
    tableOid: fc.constantFrom(5, null),
    published: fc.constantFrom(true, false, null),
    unreadable: fc.constantFrom(...UNREADABLE, null),
    slot,
  })
  const settings = fc.record({ recovery: fc.constantFrom('auto', 'manual'), create: fc.boolean() })

  test('it goes on only with our own, whole slot at or behind the checkpoint of this very history', () => {
    fc.assert(
      fc.property(checkpoint, server, settings, (known, found, how) => {
        const sameHistory =
          known?.timeline === found.timeline ||
          (known !== null &&
            found.switchLsn !== null &&
            known.lsn <= found.switchLsn &&
            known.pagesLsn <= found.switchLsn)
        const certain =
          known !== null &&
          found.slot?.plugin === 'pgoutput' &&
          found.slot.database === 'app' &&
          !found.slot.lost &&
          found.slot.confirmedFlushLsn !== null &&
          found.slot.confirmedFlushLsn <= known.lsn &&
          known.slot === 's' &&
          known.systemIdentifier === found.systemIdentifier &&
          sameHistory &&
          (found.walLsn === null || found.walLsn >= known.lsn) &&
          found.published !== false &&
          found.unreadable === null &&
          (found.tableOid === null || found.tableOid === known.tableOid)
        const decision = decideStart({ slot: 's', ...how, checkpoint: known, server: found })
        expect(decision.kind === 'go_on').toBe(certain)
        if (known !== null) expect(['go_on', 'recover', 'stop']).toContain(decision.kind)
        if (decision.kind === 'create_slot') expect(found.slot).toBeNull()
        if (decision.kind === 'replace_slot') expect(how.create && found.slot?.ours).toBe(true)
        if (decision.kind === 'stop') expect(decision.message.length).toBeGreaterThan(40)
        if (decision.kind !== 'recover') return
        expect(how.recovery).toBe('auto')
        const { slot: step } = decision
        // Nothing of anybody else's is dropped or taken, and WAL that was never kept is not asked for.
        expect(found.slot === null).toBe(step.kind === 'create')
        if (found.slot) expect(found.slot.database).toBe('app')
        if (step.kind !== 'adopt') expect(how.create).toBe(true)
        else expect(step.lsn).toBeGreaterThanOrEqual(found.slot?.confirmedFlushLsn ?? 1_000)
      }),
      { numRuns: 5_000 },
    )
  })
})
