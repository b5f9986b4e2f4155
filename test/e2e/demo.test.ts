// `suprsync demo` as its reader starts it: the real program with its own PostgreSQL. What it shows adds up, and however it
// ends, nothing of it is left.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { until } from '../support/wait.ts'

const PROGRAM = fileURLToPath(new URL('../../bin/suprsync.js', import.meta.url))

const count = z.int().nonnegative()
const resultSchema = z.object({
  ok: z.boolean(),
  rows: count,
  users: count,
  differences: z.array(z.unknown()),
  setBack: count,
  changes: z.object({ insert: count, update: count, delete: count }),
  calls: z.record(z.string(), count),
  repeatedCalls: count,
  noops: z.object({ touched: count, rolledBack: count, skipped: count }),
  latencyMs: z.object({ samples: count, p50: z.number(), p99: z.number(), max: z.number() }),
  outage: z.object({ requestsCut: count, changesWhileDown: count, usersChanged: count, recoveredMs: z.number() }),
  postgres: z.object({ url: z.string(), pid: count, dataDir: z.string() }),
  emulator: z.object({ url: z.string() }),
  service: z.object({ url: z.string(), pid: count }),
})
type Result = z.infer<typeof resultSchema>

class Demo implements AsyncDisposable {
  readonly process: ChildProcess
  readonly lines: string[] = []
  readonly #ended: Promise<unknown>

  constructor(...args: readonly string[]) {
    this.process = spawn(process.execPath, [PROGRAM, 'demo', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#ended = once(this.process, 'close')
    for (const stream of [this.process.stdout, this.process.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', (line) => this.lines.push(line))
    }
  }

  async exitCode(): Promise<number | null> {
    await this.#ended
    return this.process.exitCode
  }

  /** The document that --json prints, as soon as it is there. */
  async result(): Promise<Result> {
    const text = () => this.lines.slice(this.lines.indexOf('{'), this.lines.indexOf('}') + 1).join('\n')
    await until(() => this.lines.includes('}') || this.process.exitCode !== null, {
      what: 'a result',
      timeoutMs: 45_000,
    })
    if (!this.lines.includes('}')) throw new Error(`no result but: ${this.lines.join('\n')}`)
    return resultSchema.parse(JSON.parse(text()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill('SIGKILL')
    await this.#ended
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false // ESRCH: there is no such process.
  }
}

async function nothingIsLeft({ postgres, service }: Pick<Result, 'postgres' | 'service'>): Promise<void> {
  const options = { timeoutMs: 10_000 }
  await until(() => !isAlive(service.pid), { what: 'the service to end', ...options })
  await until(() => !isAlive(postgres.pid), { what: 'PostgreSQL to end', ...options })
  const exists = () =>
    access(postgres.dataDir).then(
      () => true,
      () => false,
    )
  await until(async () => !(await exists()), { what: 'the data directory to go', ...options })
}

const sum = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((total, n) => total + n, 0)

test('the demo ends by itself with figures that add up, and leaves nothing behind', async () => {
  await using demo = new Demo('--seconds', '2', '--json')
  const result = await demo.result()
  expect(await demo.exitCode()).toBe(0)
  expect(result).toMatchObject({ ok: true, differences: [], setBack: 0 })
  expect(result.rows).toBe(result.users)
  expect(result.users).toBeGreaterThan(20)
  const { calls, changes, repeatedCalls, noops, latencyMs, outage } = result
  // Everybody who was ever there was created by a POST and left by a DELETE, but for those who came and went unseen.
  expect((calls.POST ?? 0) - (calls.DELETE ?? 0)).toBeGreaterThanOrEqual(result.users - repeatedCalls)
  expect(sum(calls) - repeatedCalls).toBeLessThanOrEqual(sum(changes))
  expect(sum(calls) - repeatedCalls).toBeGreaterThan(latencyMs.samples * 0.8)
  expect(outage.changesWhileDown).toBe(40)
  expect(outage.usersChanged).toBeGreaterThan(10)
  expect(outage.requestsCut).toBeGreaterThan(0)
  // What kill -9 cut off had been applied and is said again (P10).
  expect(repeatedCalls).toBeGreaterThan(0)
  expect(repeatedCalls).toBeLessThanOrEqual(outage.requestsCut)
  expect(noops.touched).toBeGreaterThanOrEqual(40)
  expect(noops.skipped).toBeGreaterThan(0)
  expect(latencyMs.samples).toBeGreaterThan(3)
  expect(latencyMs.p50).toBeLessThanOrEqual(latencyMs.p99)
  expect(latencyMs.p99).toBeLessThanOrEqual(latencyMs.max)
  await nothingIsLeft(result)
})

test('--keep leaves all of it running: an edit by hand arrives, and Ctrl-C ends everything', async () => {
  await using demo = new Demo('--seconds', '1', '--json', '--keep')
  const result = await demo.result()
  const client = new pg.Client({ connectionString: result.postgres.url })
  await client.connect()
  await client.query("INSERT INTO users (name, email) VALUES ('By Hand', 'by.hand@example.com')")
  await client.end()
  await until(async () => (await (await fetch(`${result.emulator.url}/_emulator/users`)).text()).includes('by.hand@'), {
    what: 'the edit at SuprSend',
  })
  expect((await fetch(`${result.service.url}/readyz`)).status).toBe(200)
  demo.process.kill('SIGINT')
  expect(await demo.exitCode()).toBe(0)
  await nothingIsLeft(result)
})

test('Ctrl-C in the middle ends it with 130; kill -9 takes everything along', async () => {
  await using interrupted = new Demo('--seconds', '30')
  await until(() => interrupted.lines.some((line) => line.includes('PATCH')), { what: 'work', timeoutMs: 45_000 })
  // Without a terminal there are no colours.
  expect(interrupted.lines.join('')).not.toContain('\u001b')
  interrupted.process.kill('SIGINT')
  expect(await interrupted.exitCode()).toBe(130)
  expect(interrupted.lines.join('\n')).not.toContain('summary')

  await using killed = new Demo('--seconds', '1', '--json', '--keep')
  const result = await killed.result()
  expect(isAlive(result.service.pid)).toBe(true)
  killed.process.kill('SIGKILL')
  await nothingIsLeft(result)
})

test('a number of seconds that is none is bad usage', async () => {
  await using demo = new Demo('--seconds', 'soon')
  expect(await demo.exitCode()).toBe(2)
  expect(demo.lines.join('\n')).toContain('Expected a number from 1 to 600.')
})
