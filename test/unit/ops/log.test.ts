// The lines that the logger writes.
import { spawnSync } from 'node:child_process'
import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import type { LogLevel } from '../../../src/core/logger.ts'
import { parseLsn } from '../../../src/core/lsn.ts'
import { loggerTo } from '../../../src/ops/log.ts'

function capturing(level?: LogLevel) {
  const lines: string[] = []
  const log = loggerTo({ write: (line) => lines.push(line) }, level)
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? 'null') }
}

test('a line holds level, time, message and the fields of the child loggers', () => {
  const { log, last } = capturing()
  log.child({ component: 'capture' }).child({ epoch: 7 }).info({ rows: 3 }, 'committed')
  expect(last()).toMatchObject({ level: 'info', component: 'capture', epoch: 7, rows: 3, msg: 'committed' })
  expect(Date.parse(last().time)).not.toBeNaN()
})

test('positions are printed as PostgreSQL writes them, other bigints in full, also in child loggers', () => {
  const { log, last } = capturing()
  log.child({ startLsn: parseLsn('16/B374D848') }).info({ lsn: parseLsn('0/1529178'), xid: 2n ** 60n }, 'x')
  expect(last()).toMatchObject({ startLsn: '16/B374D848', lsn: '0/1529178', xid: '1152921504606846976' })
})

test('an error under any name is reported without its own fields', () => {
  const { log, lines, last } = capturing()
  const error = Object.assign(new Error('boom'), { code: 'E_BOOM', detail: 'Key (email)=(canary) exists' })
  log.child({ err: error }).warn({}, 'first')
  log.warn({ err: error, other: error }, 'second')
  expect(last()).toMatchObject({ err: { code: 'E_BOOM', message: 'boom' }, other: { code: 'E_BOOM' } })
  expect(lines.join()).not.toContain('canary')
})

test.each([
  ['debug', 4],
  ['info', 3],
  ['warn', 2],
  ['error', 1],
] as const)('level %s lets %i of four lines through', (level, count) => {
  const { log, lines } = capturing(level)
  log.debug({}, 'a')
  log.info({}, 'b')
  log.warn({}, 'c')
  log.error({}, 'd')
  expect(lines).toHaveLength(count)
})

test('a message is printed as it stands, without placeholders', () => {
  const { log, last } = capturing()
  log.info({ a: 1 }, '100%s of %d')
  expect(last().msg).toBe('100%s of %d')
})

const script = `
  const { createLogger } = await import(process.argv[1])
  const statusLine = { clear: () => process.stdout.write('<clear>') }
  createLogger({ to: 'stdout', pretty: true, statusLine }).child({ component: 'x' }).error({ err: new Error('boom') }, 'bad')
  createLogger({ to: 'stderr' }).info({}, 'json')
  process.kill(process.pid, 'SIGKILL')
`

test('every line is out before a kill; pretty lines clear the status line first', () => {
  const module = new URL('../../../src/ops/log.ts', import.meta.url).href
  const result = spawnSync(process.execPath, ['--input-type=module', '-e', script, module], { encoding: 'utf8' })
  expect(result.signal).toBe('SIGKILL')
  expect(stripVTControlCharacters(result.stdout)).toMatch(/^<clear>\[.*\] ERROR: bad \{"component":"x"\}\n.*boom/s)
  expect(JSON.parse(result.stderr)).toMatchObject({ level: 'info', msg: 'json' })
})
