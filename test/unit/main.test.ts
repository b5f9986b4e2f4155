// The real process, as a user starts it.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { CATALOG } from '../../src/commands/catalog.ts'

const bin = fileURLToPath(new URL('../../bin/suprsync.js', import.meta.url))

function suprsync(args: readonly string[], nodeArgs: readonly string[] = []) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...nodeArgs, bin, ...args], { encoding: 'utf8' })
  return { status, stdout, stderr }
}

test('--help lists every command with its summary, examples and exit codes', () => {
  const { status, stdout, stderr } = suprsync(['--help'])
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  for (const { name, summary } of CATALOG) {
    expect(stdout.replaceAll(/\s+/g, ' ')).toContain(` ${name} ${summary}`)
  }
  expect(stdout).toContain('$ suprsync check --config config/suprsync.yaml')
  expect(stdout).toContain('Exit codes: 0 done')
})

test('--version is that of package.json', () => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  expect(suprsync(['--version'])).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' })
})

test('without a command the help goes to stderr and the code is 2', () => {
  const { status, stdout, stderr } = suprsync([])
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
  expect(stderr).toMatch(/^Usage: suprsync /)
})

test('an unknown command is named, with the nearest known one', () => {
  const expected = "suprsync: unknown command 'stat'\n(Did you mean status?)\n"
  expect(suprsync(['stat'])).toEqual({ status: 2, stdout: '', stderr: expected })
})

test.each(CATALOG.map(({ name }) => [name]))('%s --help describes the command, and so does help', (name) => {
  const result = suprsync([name, '--help'])
  expect(result).toMatchObject({ status: 0, stderr: '' })
  expect(result.stdout).toMatch(new RegExp(`^Usage: suprsync ${name} `))
  expect(suprsync(['help', name]).stdout).toBe(result.stdout)
})

// Throws as soon as main.ts has installed its handler.
const throwing = `process.on('newListener', (name) => name === 'uncaughtException' && setImmediate(() => {
  throw Object.assign(new Error('boom'), { code: '23505', detail: 'Key (email)=(canary) already exists.' })
}))`

test('an error that nobody caught ends with 1, without the fields Node would print', () => {
  const { status, stderr } = suprsync(
    ['--version'],
    ['--import', `data:text/javascript,${encodeURIComponent(throwing)}`],
  )
  expect({ status, stderr }).toEqual({ status: 1, stderr: 'suprsync: 23505: boom\n' })
})

test('a reader that goes away is no error', async () => {
  const child = spawn(process.execPath, [bin, '--help'])
  let stderr = ''
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  child.stdout.destroy()
  const [status] = await once(child, 'close')
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
})
