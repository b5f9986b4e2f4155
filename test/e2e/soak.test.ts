// P1 to P4, P7, P10 under everything at once: the chaos run (test/soak) for as long as CI can spare. `npm run soak` is the same for as long
// as wanted.
import { expect, test } from 'vitest'
import { makePlan } from '../soak/plan.ts'
import { reportText, runSoak } from '../soak/soak.ts'
import { testSeed } from '../support/seed.ts'

const STORM_MINUTES = 1
/** The same plan each time, so that what it finds is what has changed; TEST_SEED and `npm run soak` draw others. */
const SEED = 24

test('killed, frozen, cut off, restarted and refused for a while, it becomes right by itself', async ({ signal }) => {
  const plan = makePlan(process.env.TEST_SEED === undefined ? SEED : testSeed(), STORM_MINUTES)
  const report = await runSoak({ plan, signal, convergeWithinMs: 60_000, onEvent: () => undefined })
  if (report.problems.length > 0) process.stderr.write(`${reportText(report)}\n`)
  expect(report.problems).toEqual([])
}, 150_000)
