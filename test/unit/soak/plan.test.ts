// The plan of a chaos run: the same for the same seed, in order, with an end to each fault, and whole again after each round.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { clash } from '../../soak/clash.ts'
import type { PlannedFault } from '../../soak/fault.ts'
import { faultText } from '../../soak/fault-text.ts'
import { makePlan } from '../../soak/plan.ts'

const seeds = fc.nat(1_000_000_000)
const minutes = fc.oneof(fc.constant(1.25), fc.integer({ min: 1, max: 30 }))

test('the same seed makes the same plan, another seed another', () => {
  expect(makePlan(7, 3)).toEqual(makePlan(7, 3))
  expect(makePlan(8, 3)).not.toEqual(makePlan(7, 3))
})

test('faults are in order, within the storm, and each ends', () => {
  fc.assert(
    fc.property(seeds, minutes, (seed, length) => {
      const { faults, stormMs } = makePlan(seed, length)
      expect(faults.length).toBeGreaterThan(stormMs / 10_000)
      let before = 0
      for (const { atMs, untilMs } of faults) {
        expect(atMs).toBeGreaterThanOrEqual(before)
        expect(untilMs).toBeGreaterThanOrEqual(atMs)
        before = atMs
      }
    }),
  )
})

test('in each calm part nothing is disturbed but one frozen process, in the last nothing at all', () => {
  fc.assert(
    fc.property(seeds, minutes, (seed, length) => {
      const { faults, calm, stormMs } = makePlan(seed, length)
      expect(calm.at(-1)?.toMs).toBe(stormMs)
      for (const part of calm) {
        const during = faults.filter(({ atMs, untilMs }) => untilMs > part.fromMs && atMs < part.toMs)
        expect(during.every(({ fault }) => fault.kind === 'freeze')).toBe(true)
        expect(during.length).toBeLessThanOrEqual(part.toMs === stormMs ? 0 : 1)
      }
    }),
  )
})

test('what contradicts each other does not overlap', () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const { faults } = makePlan(seed, 5)
      const clashing = faults.flatMap((one, at) => faults.slice(at + 1).filter((other) => clash(one, other)))
      expect(clashing).toEqual([])
    }),
  )
})

test('what is clashing', () => {
  const planned = (fault: PlannedFault['fault'], atMs = 0, untilMs = 1_000): PlannedFault => ({ atMs, untilMs, fault })
  const freeze = planned({ kind: 'freeze', process: 'sender 1' })
  const held = (processes: readonly ['sender 1' | 'sender 2']) =>
    planned({ kind: 'network', link: 'suprsend', how: 'held', processes })
  expect(clash(freeze, held(['sender 1']))).toBe(true)
  expect(clash(held(['sender 1']), freeze)).toBe(true)
  expect(clash(freeze, held(['sender 2']))).toBe(false)
  expect(clash(freeze, planned({ kind: 'kill', process: 'sender 1' }))).toBe(true)
  expect(clash(freeze, planned({ kind: 'kill', process: 'sender 1' }, 2_000, 3_000))).toBe(false)
  expect(clash(freeze, planned({ kind: 'kill', process: 'sender 2' }))).toBe(false)
  const orphaning = (atMs: number) =>
    planned({ kind: 'terminate', server: 'state', sessions: 'suprsync locks' }, atMs, atMs)
  expect(clash(planned({ kind: 'freeze', process: 'sender 1' }, 5_000, 25_000), orphaning(6_000))).toBe(true)
  expect(clash(planned({ kind: 'freeze', process: 'sender 1' }, 5_000, 25_000), orphaning(12_000))).toBe(false)
  expect(clash(freeze, planned({ kind: 'weather', weather: { kind: 'silent', requests: 1 } }))).toBe(true)
  const restart = planned({ kind: 'restart', server: 'state', mode: 'fast' })
  expect(clash(planned({ kind: 'terminate', server: 'state', sessions: 'all' }, 500, 500), restart)).toBe(true)
  expect(clash(planned({ kind: 'terminate', server: 'source', sessions: 'all' }, 500, 500), restart)).toBe(false)
})

test('among many seeds every kind of fault comes, and freezes that outlast a sender’s patience', () => {
  const texts = new Set<string>()
  let long = 0
  for (let seed = 0; seed < 40; seed += 1) {
    for (const planned of makePlan(seed, 5).faults) {
      const { fault, atMs, untilMs } = planned
      if (fault.kind === 'freeze' && untilMs - atMs > 60_000) long += 1
      const more =
        fault.kind === 'network' ? `${fault.link} ${fault.how}` : fault.kind === 'weather' ? fault.weather.kind : ''
      texts.add(`${fault.kind} ${more}`.trim())
      expect(faultText(planned)).not.toContain('undefined')
    }
  }
  expect(long).toBeGreaterThan(10)
  expect([...texts].sort()).toEqual(
    [
      ...['kill', 'freeze', 'deploy', 'cut', 'terminate', 'restart'],
      ...['failing', 'slow', 'limited', 'throttling', 'garbled', 'silent', 'unauthorized', 'away'].map(
        (kind) => `weather ${kind}`,
      ),
      ...['source', 'state'].flatMap((link) =>
        ['refused', 'stalled', 'held', 'to_server', 'to_client'].map((how) => `network ${link} ${how}`),
      ),
      ...['refused', 'held', 'to_server', 'to_client'].map((how) => `network suprsend ${how}`),
    ].sort(),
  )
})
