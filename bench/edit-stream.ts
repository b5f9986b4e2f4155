// Single-row edits of one connection at a given pace, and how long each took from its commit to SuprSend's answer.
import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import type { TrivialSink } from './sink.ts'

export interface EditStream {
  readonly client: pg.Client
  readonly sink: TrivialSink
  /** As many as the users table has. */
  readonly users: number
  readonly perSecond: number
  readonly seconds: number
  /** Even: one every so many milliseconds. Random: as of people who do not know one another (exponential pauses). */
  readonly pace: 'even' | 'random'
}

/** Of no two edits the same, so that each changes its row. */
let seq = 0

/** Milliseconds of each edit that arrived by itself: one that a newer edit of the same user overtook is not sent. */
export async function measureEdits(stream: EditStream): Promise<readonly number[]> {
  const { client, sink, users, perSecond, seconds } = stream
  await sink.reset()
  const commits = new Map<number, number>()
  const startedAt = performance.now()
  let dueAt = startedAt
  for (let edit = 0; edit < perSecond * seconds; edit += 1) {
    seq += 1
    dueAt += pauseMs(stream)
    const waitMs = dueAt - performance.now()
    if (waitMs > 1) await delay(waitMs)
    // One connection: the next edit leaves when this one is committed, as a pool's would.
    await client.query(
      `update users set settings = jsonb_build_object('seq', $1::int) where id = 1 + ($1::bigint * 7919) % ${users}`,
      [seq],
    )
    commits.set(seq, performance.timeOrigin + performance.now())
  }
  let arrivals = await sink.arrivals()
  for (const deadline = performance.now() + 10_000; arrivals.size < commits.size && performance.now() < deadline; ) {
    await delay(50)
    arrivals = await sink.arrivals()
  }
  return [...commits].flatMap(([seq, at]) => {
    const arrived = arrivals.get(seq)
    return arrived === undefined ? [] : [Math.max(0, arrived - at)]
  })
}

function pauseMs({ pace, perSecond }: EditStream): number {
  const meanMs = 1000 / perSecond
  return pace === 'even' ? meanMs : -Math.log(1 - Math.random()) * meanMs
}
