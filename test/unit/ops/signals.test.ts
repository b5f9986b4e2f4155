// Signals to a fake host with fake timers, and once to a real process.
import { spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type LogFields, type Logger, SILENT_LOGGER } from '../../../src/core/logger.ts'
import { installSignals } from '../../../src/ops/signals.ts'

class Host extends EventEmitter {
  readonly exits: number[] = []
  exit(code: number): void {
    this.exits.push(code)
  }
}

function installed() {
  const host = new Host()
  const lines: (LogFields & { readonly message: string })[] = []
  const record = (fields: LogFields, message: string) => void lines.push({ ...fields, message })
  const log: Logger = { ...SILENT_LOGGER, info: record, warn: record, error: record }
  const stillOpen = () => ['delivery: 3 requests']
  return { host, lines, signals: installSignals({ shutdownTimeoutMs: 20_000, log, stillOpen, host }) }
}

describe('with fake timers', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  test('the first signal begins the shutdown, its echo changes nothing', () => {
    const { host, lines, signals } = installed()
    expect(signals.signal.aborted).toBe(false)
    host.emit('SIGINT', 'SIGINT')
    vi.advanceTimersByTime(4)
    host.emit('SIGINT', 'SIGINT')
    expect(signals.signal.aborted).toBe(true)
    expect(host.exits).toEqual([])
    expect(lines).toEqual([{ signal: 'SIGINT', shutdownTimeoutMs: 20_000, message: 'shutting down' }])
  })

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ])('a later %s exits at once with %i and says what was open', (name, code) => {
    const { host, lines } = installed()
    host.emit('SIGTERM', 'SIGTERM')
    vi.advanceTimersByTime(1_000)
    host.emit(name, name)
    expect(host.exits).toEqual([code])
    expect(lines.at(-1)).toMatchObject({ signal: name, stillOpen: ['delivery: 3 requests'] })
  })

  test('past the deadline the process exits with 1 and says what was open', () => {
    const { host, lines } = installed()
    host.emit('SIGTERM', 'SIGTERM')
    vi.advanceTimersByTime(19_999)
    expect(host.exits).toEqual([])
    vi.advanceTimersByTime(1)
    expect(host.exits).toEqual([1])
    expect(lines.at(-1)).toMatchObject({ stillOpen: ['delivery: 3 requests'] })
  })

  test('after disposing neither a signal nor the deadline does anything', () => {
    const { host, signals } = installed()
    host.emit('SIGTERM', 'SIGTERM')
    signals[Symbol.dispose]()
    vi.advanceTimersByTime(60_000)
    host.emit('SIGTERM', 'SIGTERM')
    expect(host.exits).toEqual([])
    expect(host.eventNames()).toEqual([])
  })
})

// Closes what it holds when the signal aborts: then the pending deadline must not keep it alive.
const script = `
  const { installSignals } = await import(process.argv[1])
  const log = { info() {}, warn() {}, error() {} }
  const { signal } = installSignals({ shutdownTimeoutMs: 60_000, log })
  const work = setInterval(() => {}, 1000)
  signal.addEventListener('abort', () => { clearInterval(work); process.stdout.write('closed') })
  process.stdout.write('ready')
`

test('a real process ends with 0 as soon as its work has closed', async () => {
  const module = new URL('../../../src/ops/signals.ts', import.meta.url).href
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, module])
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
    if (output === 'ready') child.kill('SIGTERM')
  })
  const [code] = await once(child, 'close')
  expect(code).toBe(0)
  expect(output).toBe('readyclosed')
})
