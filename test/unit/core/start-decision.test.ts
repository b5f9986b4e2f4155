// What to do at start: the whole table. Only certainty goes on; every gap stops, with what to do about it.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Lsn } from '../../../src/core/lsn.ts'
import {
  decideStart,
  type FoundServer,
  type FoundSlot,
  type KnownCheckpoint,
  type StartDecision,
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
const SERVER: FoundServer = { systemIdentifier: '7', timeline: 1, database: 'app', tableOid: 5, slot: SLOT }
const CHECKPOINT: KnownCheckpoint = { systemIdentifier: '7', timeline: 1, slot: 's', tableOid: 5, lsn: lsn(100) }

type Row = readonly [
  string,
  Partial<KnownCheckpoint> | null,
  (Partial<Omit<FoundServer, 'slot'>> & { readonly slot?: Partial<FoundSlot> | null }) | null,
  StartDecision['kind'] | Extract<StartDecision, { kind: 'stop' }>['code'],
]

const TABLE: readonly Row[] = [
  ['first start', null, { slot: null }, 'create_slot'],
  ['first start, killed after the slot', null, {}, 'adopt_slot'],
  ['first start, the slot has lost WAL', null, { slot: { lost: true } }, 'slot_lost'],
  ['first start, a slot that was never consistent', null, { slot: { confirmedFlushLsn: null } }, 'slot_lost'],
  ['first start, the slot of another plugin', null, { slot: { plugin: 'test_decoding' } }, 'slot_foreign'],
  ['first start, a physical slot', null, { slot: { plugin: null, database: null } }, 'slot_foreign'],
  ['first start, the slot of another database', null, { slot: { database: 'other' } }, 'slot_foreign'],
  ['first start, a slot that somebody else made', null, { slot: { ours: false } }, 'slot_foreign'],
  ['first start, somebody streams from the slot', null, { slot: { active: true } }, 'slot_foreign'],
  ['slot at the checkpoint', {}, {}, 'go_on'],
  ['slot in use, by whom we are about to end', {}, { slot: { active: true, ours: false } }, 'go_on'],
  ['another table of the same name', { tableOid: 4 }, {}, 'table_replaced'],
  ['slot behind the checkpoint: killed before the confirmation', {}, { slot: { confirmedFlushLsn: lsn(99) } }, 'go_on'],
  ['slot ahead by a byte', {}, { slot: { confirmedFlushLsn: lsn(101) } }, 'slot_ahead'],
  ['slot gone', {}, { slot: null }, 'slot_missing'],
  ['slot invalidated', {}, { slot: { lost: true } }, 'slot_lost'],
  ['slot without a position', {}, { slot: { confirmedFlushLsn: null } }, 'slot_lost'],
  ['slot of another plugin', {}, { slot: { plugin: 'wal2json' } }, 'slot_foreign'],
  ['slot of another database', {}, { slot: { database: 'other' } }, 'slot_foreign'],
  ['another cluster', { systemIdentifier: '8' }, {}, 'server_replaced'],
  ['another cluster without the slot', { systemIdentifier: '8' }, { slot: null }, 'server_replaced'],
  ['another slot in the configuration', { slot: 'former' }, {}, 'slot_renamed'],
  ['another slot in the configuration, not made yet', { slot: 'former' }, { slot: null }, 'slot_renamed'],
  ['promoted, the slot came along', {}, { timeline: 2 }, 'timeline_changed'],
  ['restored to an earlier timeline', { timeline: 3 }, {}, 'timeline_changed'],
  ['promoted without the slot', {}, { timeline: 2, slot: null }, 'slot_missing'],
  ['promoted, the slot recreated ahead', {}, { timeline: 2, slot: { confirmedFlushLsn: lsn(200) } }, 'slot_ahead'],
]

function decide(checkpoint: Row[1], server: Row[2]): StartDecision {
  const slot = server?.slot === null ? null : { ...SLOT, ...server?.slot }
  return decideStart('s', checkpoint && { ...CHECKPOINT, ...checkpoint }, { ...SERVER, ...server, slot })
}

test.for(TABLE)('%s', ([, checkpoint, server, expected]) => {
  const decision = decide(checkpoint, server)
  expect(decision.kind === 'stop' ? decision.code : decision.kind).toBe(expected)
})

test('a slot that is adopted starts where it stands', () => {
  expect(decide(null, {})).toEqual({ kind: 'adopt_slot', lsn: lsn(100) })
})

describe('in every combination', () => {
  const slot = fc.option(
    fc.record({
      plugin: fc.constantFrom('pgoutput', 'test_decoding', null),
      database: fc.constantFrom('app', 'other', null),
      confirmedFlushLsn: fc.option(fc.integer({ min: 98, max: 102 }).map(lsn)),
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
      lsn: fc.integer({ min: 98, max: 102 }).map(lsn),
    }),
  )
  const server = fc.record({ ...identity, database: fc.constant('app'), tableOid: fc.constantFrom(5, null), slot })

  test('it goes on only with our own, whole slot at or behind the checkpoint of this very server', () => {
    fc.assert(
      fc.property(checkpoint, server, (known, found) => {
        const certain =
          known !== null &&
          found.slot !== null &&
          found.slot.plugin === 'pgoutput' &&
          found.slot.database === 'app' &&
          !found.slot.lost &&
          found.slot.confirmedFlushLsn !== null &&
          found.slot.confirmedFlushLsn <= known.lsn &&
          known.slot === 's' &&
          known.systemIdentifier === found.systemIdentifier &&
          known.timeline === found.timeline &&
          (found.tableOid === null || found.tableOid === known.tableOid)
        const decision = decideStart('s', known, found)
        expect(decision.kind === 'go_on').toBe(certain)
        if (known !== null) expect(['go_on', 'stop']).toContain(decision.kind)
        if (decision.kind === 'create_slot') expect(found.slot).toBeNull()
        if (decision.kind === 'stop') expect(decision.message.length).toBeGreaterThan(40)
      }),
      { numRuns: 2_000 },
    )
  })
})
