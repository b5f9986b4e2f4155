// The command line around a command: what is loaded, what is printed when it fails, and with which code it ends.
import { Command } from 'commander'
import { DatabaseError } from 'pg'
import { describe, expect, test } from 'vitest'
import type { CatalogEntry } from '../../../src/commands/catalog.ts'
import { configOption } from '../../../src/commands/config-option.ts'
import { EXIT } from '../../../src/commands/exit-code.ts'
import { runProgram } from '../../../src/commands/program.ts'
import { ConfigError } from '../../../src/config/problem.ts'
import { SuprsyncError } from '../../../src/core/error.ts'

/** A command line with `check`, which does what it is told, and `run`, which must not be loaded. */
async function suprsync(args: readonly string[], action: (config: string) => unknown = () => undefined, env = {}) {
  const loaded: string[] = []
  const check = new Command('check').addOption(configOption()).option('--json').argument('[what]')
  check.action(async (_what: unknown, options: { readonly config: string }) => {
    await action(options.config)
  })
  const entry = (name: string, command: Command): CatalogEntry => ({
    name,
    summary: `the summary of ${name}`,
    load: async () => {
      loaded.push(name)
      return command
    },
  })
  let stderr = ''
  const writeError = (text: string) => {
    stderr += text
  }
  const catalog = [entry('run', new Command('run')), entry('check', check)]
  return { code: await runProgram({ args, env, writeError, catalog }), stderr, loaded }
}

function failing(error: unknown) {
  return () => Promise.reject(error)
}

test('only the command that is asked for is loaded, wherever options stand', async () => {
  const seen: string[] = []
  const result = await suprsync(['--debug', 'check', '--config', 'run', 'run'], (config) => seen.push(config))
  expect(result).toEqual({ code: null, stderr: '', loaded: ['check'] })
  expect(seen).toEqual(['run'])
})

test('--config has one default', async () => {
  const seen: string[] = []
  await suprsync(['check'], (config) => seen.push(config))
  expect(seen).toEqual(['config/suprsync.yaml'])
})

test('an error is one line of code and message, with the next step below and no stack', async () => {
  const cause = new DatabaseError('password authentication failed for user "app"', 10, 'error')
  Object.assign(cause, { severity: 'FATAL', code: '28P01' })
  const error = new SuprsyncError('source_unreachable', 'the source does not accept us', { cause })
  const result = await suprsync(['check'], failing(error))
  expect(result.code).toBe(EXIT.failed)
  expect(result.stderr).toBe(
    'suprsync: source_unreachable: the source does not accept us\n' +
      'next: check user and password in the connection URL\n',
  )
})

test('an error may bring its own next step', async () => {
  const error = new SuprsyncError('state_newer', 'the state is newer', { details: { next: 'install suprsync 9' } })
  expect((await suprsync(['check'], failing(error))).stderr).toContain('\nnext: install suprsync 9\n')
})

test.each([
  ['--debug', ['check', '--debug'], {}],
  ['SUPRSYNC_DEBUG', ['check'], { SUPRSYNC_DEBUG: '1' }],
])('%s adds the stack, with the causes', async (_name, args, env) => {
  const error = new SuprsyncError('x', 'outer', { cause: new Error('inner') })
  const { stderr } = await suprsync(args, failing(error), env)
  expect(stderr).toMatch(/SuprsyncError: outer\n +at .*\n(.*\n)*caused by Error: inner\n +at /)
})

test('no value of a row is printed, whatever failed', async () => {
  const error = new DatabaseError('invalid input syntax for type integer: "canary"', 10, 'error')
  Object.assign(error, { severity: 'ERROR', code: '22P02', detail: 'canary', where: 'canary' })
  for (const args of [['check'], ['check', '--debug'], ['check', '--json', '--debug']]) {
    const { stderr } = await suprsync(args, failing(new SuprsyncError('x', 'y', { cause: error })))
    expect(stderr).not.toContain('canary')
    expect((await suprsync(args, failing(error))).stderr).toContain('22P02')
  }
})

describe('a wrong configuration', () => {
  const at = (line: number, path: string, message: string) => ({ file: 'x.yaml', line, column: 5, path, message })
  const problems = [at(3, 'source.table', 'is missing'), at(9, '', 'unknown key')]
  const error = new ConfigError('x.yaml', problems)

  test('prints every problem and ends with 2', async () => {
    const { code, stderr } = await suprsync(['check'], failing(error))
    expect(code).toBe(EXIT.usage)
    expect(stderr).toMatch(
      'suprsync: config_invalid: the configuration x.yaml has 2 problems\n' +
        'x.yaml:3:5 source.table: is missing\nx.yaml:9:5 unknown key\nnext: ',
    )
  })

  test('is a JSON document with --json', async () => {
    const { stderr } = await suprsync(['check', '--json'], failing(error))
    expect(JSON.parse(stderr)).toEqual({
      error: {
        code: 'config_invalid',
        message: 'the configuration x.yaml has 2 problems',
        details: { file: 'x.yaml' },
        problems,
        next: expect.any(String),
      },
    })
  })
})

test('findings of the preflight end with 3', async () => {
  const { code } = await suprsync(['check'], failing(new SuprsyncError('preflight_failed', 'two findings')))
  expect(code).toBe(EXIT.problems)
})

test('all addresses of a host refused: the reason is the first one', async () => {
  const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { code: 'ECONNREFUSED' })
  const error = Object.assign(new AggregateError([refused]), { code: 'ECONNREFUSED' })
  const { stderr } = await suprsync(['check'], failing(error))
  expect(stderr).toMatch(/^suprsync: ECONNREFUSED: connect ECONNREFUSED 127.0.0.1:1\nnext: /)
})

test.each([
  ['an unknown command', ['chek'], "suprsync: unknown command 'chek'\n(Did you mean check?)\n"],
  ['an unknown option', ['check', '--confg'], "suprsync: unknown option '--confg'\n(Did you mean --config?)\n"],
  ['an option without its value', ['check', '--config'], /^suprsync: option '-c, --config <file>' argument missing\n$/],
  ['too many arguments', ['check', 'a', 'b'], /^suprsync: too many arguments/],
])('%s ends with 2', async (_name, args, message) => {
  const { code, stderr } = await suprsync(args)
  expect(code).toBe(EXIT.usage)
  expect(stderr).toMatch(message)
})

test('wrong usage is a JSON document with --json', async () => {
  const { code, stderr } = await suprsync(['check', '--json', '--nope'])
  expect(code).toBe(EXIT.usage)
  expect(JSON.parse(stderr)).toEqual({ error: { code: 'usage_invalid', message: "unknown option '--nope'" } })
})
