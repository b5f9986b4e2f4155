// What a claim costs whether hundreds or a million users are pending, against the claim of before on the same rows; how fast the state
// alone lets them go; and an hour's worth of edits (100/s, 80 % of whom are edited again), compressed in time, with autovacuum as shipped;
// ten minutes of it while somebody's transaction keeps the server from removing anything.
// npm run bench:pending [-- --users 1000000 --deliveries 360000 --part claims|churn|held|process]
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { Claim } from '../src/core/delivery-port.ts'
import { claimBefore, indexBefore } from './claim-before.ts'
import { median, percentile, printTable } from './figures.ts'
import { measureProcess } from './pending-process.ts'
import { buckets, type DUE, edit, fill, type Pending, recordAccepted, startPending } from './pending-state.ts'
import { printSizes, readActivity } from './table-activity.ts'

const { values } = parseArgs({
  options: {
    users: { type: 'string', default: '1000000' },
    deliveries: { type: 'string', default: '360000' },
    claims: { type: 'string', default: '200' },
    part: { type: 'string' },
  },
})
const users = Number(values.users)
const deliveries = Number(values.deliveries)
const BATCH = 64
const AGAIN = 0.8

type Claimer = (state: Pending, token: string) => Promise<readonly Claim[]>

function claimOf(count: number): Claimer {
  return async ({ delivery }, token) =>
    (await delivery.claim({ buckets: buckets(count), limit: BATCH, lane: 0, token })).claims
}

const fromFront: Claimer = async (state, token) =>
  (await state.fromFront.claim({ buckets: buckets(64), limit: BATCH, lane: 0, token })).claims

const KINDS: readonly { readonly name: string; readonly claim: Claimer }[] = [
  { name: 'before: one index', claim: (state, token) => claimBefore(state, BATCH, token) },
  { name: 'of 64 buckets', claim: claimOf(64) },
  { name: 'of 16 buckets', claim: claimOf(16) },
]

let steps = 0

async function timed<T>(work: () => Promise<T>): Promise<readonly [T, number]> {
  const startedAt = performance.now()
  const result = await work()
  return [result, performance.now() - startedAt]
}

interface Step {
  readonly claimed: number
  readonly claimMs: number
  readonly recordMs: number
}

/** @param again the share of those who are edited again at once, and so stay pending */
async function step(state: Pending, claim: Claimer, again: number): Promise<Step> {
  steps += 1
  const [claims, claimMs] = await timed(() => claim(state, `step-${steps}`))
  if (claims.length === 0) return { claimed: 0, claimMs, recordMs: 0 }
  const [, recordMs] = await timed(() => recordAccepted(state, claims))
  const edited = claims.slice(0, Math.round(claims.length * again))
  if (edited.length > 0) await edit(state, edited)
  return { claimed: claims.length, claimMs, recordMs }
}

const ms = (of: readonly number[], rank: number) => percentile(of, rank).toFixed(1)

async function measureClaims(): Promise<void> {
  const table: (readonly string[])[] = []
  const names = { few: '500', all: users.toLocaleString('en'), mostLater: `${users.toLocaleString('en')}, 500 due now` }
  await using state = await startPending()
  await indexBefore(state)
  for (const due of ['few', 'all', 'mostLater'] as const satisfies readonly (keyof typeof DUE)[]) {
    await fill(state.client, users, due)
    for (const { claim } of KINDS) await step(state, claim, 1)
    const seen = KINDS.map(() => [] as Step[])
    for (let at = 0; at < Number(values.claims); at += 1)
      for (const [kind, { claim }] of KINDS.entries()) seen[kind]?.push(await step(state, claim, 1))
    const before = median(seen[0]?.map(({ claimMs }) => claimMs) ?? [])
    for (const [kind, { name }] of KINDS.entries()) {
      const of = seen[kind] ?? []
      const claims = of.map(({ claimMs }) => claimMs)
      const records = of.map(({ recordMs }) => recordMs)
      const claimed = median(of.map((one) => one.claimed))
      table.push([
        ...[names[due], name, String(claimed), ms(claims, 50), ms(claims, 99), (median(claims) / before).toFixed(2)],
        ...[ms(records, 50), ms(records, 99)],
      ])
    }
  }
  printTable(['pending', 'claim', 'of users', 'ms', 'p99', 'of before', 'record, ms', 'p99'], table)
  await fill(state.client, users, 'all')
  const startedAt = performance.now()
  let drained = 0
  while (performance.now() - startedAt < 15_000) drained += (await step(state, claimOf(64), 0)).claimed
  const rate = (drained * 1000) / (performance.now() - startedAt)
  process.stdout.write(
    `claim and record one after the other, without HTTP: ${Math.round(rate).toLocaleString('en')} users/s\n`,
  )
}

/** @param held somebody keeps a transaction open all the while (a dump, a report): nothing that is dead may be removed */
async function measureChurn(deliveries: number, { held }: { readonly held: boolean }): Promise<void> {
  // An hour passes in about two minutes: the server looks for what to vacuum that much more often.
  await using state = await startPending(2)
  await fill(state.client, users, 'all')
  const before = await readActivity(state.client)
  if (held) await state.client.query('begin isolation level repeatable read; select from suprsync.checkpoint')
  // By turns, so that both meet the same.
  const claimers = held ? { 'from the front': fromFront, 'as it is': claimOf(64) } : { 'as it is': claimOf(64) }
  const seen = new Map<string, Step[]>(Object.keys(claimers).map((name) => [name, []]))
  const sizes = [before]
  const startedAt = performance.now()
  let delivered = 0
  while (delivered < deliveries) {
    for (const [name, claim] of Object.entries(claimers)) {
      const one = await step(state, claim, AGAIN)
      if (one.claimed === 0) throw new Error('nobody is due')
      seen.get(name)?.push(one)
      delivered += one.claimed
    }
    if (sizes.length === 1 && delivered >= deliveries / 2) sizes.push(await readActivity(state.client))
  }
  const seconds = (performance.now() - startedAt) / 1000
  // What the server counts is told once a second.
  await delay(3_000)
  if (held) await state.client.query('commit')
  sizes.push(await readActivity(state.client))
  const figures = [...seen].flatMap(([name, of]) => {
    const part = Math.min(400, Math.floor(of.length / 3))
    const middle = Math.floor((of.length - part) / 2)
    const parts = { start: of.slice(0, part), middle: of.slice(middle, middle + part), end: of.slice(-part) }
    return Object.entries(parts).map(([when, some]) => {
      const claims = some.map(({ claimMs }) => claimMs)
      const records = some.map(({ recordMs }) => recordMs)
      return [when, name, ms(claims, 50), ms(claims, 99), ms(records, 50), ms(records, 99)]
    })
  })
  const what = `${Math.round(deliveries).toLocaleString('en')} deliveries in ${seconds.toFixed(0)} s${held ? ', vacuum held back' : ''}`
  printTable([what, 'claims', 'ms', 'p99', 'record, ms', 'p99'], figures)
  printSizes(sizes)
}

const parts: Readonly<Record<string, () => Promise<void>>> = {
  claims: measureClaims,
  churn: () => measureChurn(deliveries, { held: false }),
  held: () => measureChurn(deliveries / 6, { held: true }),
  process: () => measureProcess(users),
}
for (const [name, measure] of Object.entries(parts)) {
  if (values.part === undefined || values.part === name) await measure()
}
