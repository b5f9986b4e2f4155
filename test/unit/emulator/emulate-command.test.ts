// `suprsync emulate` as its user meets it: what it prints, what it refuses, how it ends.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { emulateCommand } from '../../../src/commands/emulate.ts'

function running(args: readonly string[], isTTY: boolean) {
  const lines: string[] = []
  const end = Promise.withResolvers<void>()
  const listening = Promise.withResolvers<string>()
  const write = (text: string): void => {
    lines.push(text)
    listening.resolve(/http:\/\/127\.0\.0\.1:\d+/.exec(text)?.[0] ?? '')
  }
  const command = emulateCommand({ output: { isTTY, write }, ended: () => end.promise })
  const done = command.parseAsync(['--listen', '127.0.0.1:0', ...args], { from: 'user' })
  return {
    lines,
    url: listening.promise,
    stop: async () => {
      end.resolve()
      await done
    },
  }
}

const post = (url: string, id: string, key = 'any') =>
  fetch(`${url}/v1/user/${encodeURIComponent(id)}/`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: '{"$email":["secret@example.com"]}',
  })

test('on a terminal: where it listens, an example, and a line a request without values', async () => {
  const emulate = running(['--api-key', 'k1'], true)
  const url = await emulate.url
  expect(emulate.lines.join('')).toContain(`curl -X POST '${url}/v1/user/user123/'`)
  expect((await post(url, 'u1', 'k1')).status).toBe(201)
  expect((await post(url, 'evil\u001b[2J')).status).toBe(401)
  await emulate.stop()
  const printed = emulate.lines.slice(1).join('')
  expect(printed).toMatch(/^POST {4}u1 {2}201 {2}\d+\.\d ms\nPOST {4}"evil\\u001b\[2J" {2}401 {2}/)
  expect(printed).not.toContain('secret')
  await expect(fetch(url)).rejects.toThrow()
})

test('elsewhere and with --quiet: no requests', async () => {
  for (const [args, isTTY] of [
    [[], false],
    [['--quiet'], true],
    [['--quiet', '--json'], true],
  ] as const) {
    const emulate = running(args, isTTY)
    await post(await emulate.url, 'u1')
    await emulate.stop()
    expect(emulate.lines).toHaveLength(1)
  }
})

test('--json: one line each', async () => {
  const emulate = running(['--json', '--post-reading', 'replace', '--rate-limit', '1', '--latency', '1'], false)
  const url = await emulate.url
  await post(url, 'u1')
  const settings = await (await fetch(`${url}/_emulator/settings`)).json()
  expect(settings).toMatchObject({ postReading: 'replace', rateLimit: 1, latencyMs: 1 })
  await emulate.stop()
  expect(emulate.lines.map((line) => JSON.parse(line))).toMatchObject([
    { url, port: Number(new URL(url).port) },
    { method: 'POST', distinctId: 'u1', status: 201 },
  ])
})

test.each([
  [['--listen', '8787'], 'Expected host:port'],
  [['--listen', 'localhost:99999'], 'Expected host:port'],
  [['--failure-rate', '1.5'], 'Expected a number from 0 to 1'],
  [['--latency', ''], 'Expected a number'],
  [['--rate-limit', '1.5'], 'Expected a whole number of at least 1'],
  [['--post-reading', 'merge'], 'append, replace'],
])('refuses %j', async (args, message) => {
  const command = emulateCommand({ output: { write: () => undefined }, ended: async () => undefined })
  command.exitOverride().configureOutput({ writeErr: () => undefined })
  await expect(command.parseAsync(args, { from: 'user' })).rejects.toThrow(message)
})

test('the help has examples', () => {
  let help = ''
  const command = emulateCommand({ output: { write: () => undefined }, ended: async () => undefined })
  command
    .configureOutput({
      writeOut: (text) => {
        help += text
      },
    })
    .outputHelp()
  expect(help).toContain('suprsync emulate --listen 127.0.0.1:0 --json')
})

test('a process ends on SIGTERM and on SIGINT, with nothing said to stderr', async () => {
  const script = `import { emulateCommand } from './src/commands/emulate.ts'
    await emulateCommand().parseAsync(['--listen', '127.0.0.1:0', '--json'], { from: 'user' })`
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script])
    let stderr = ''
    child.stderr.on('data', (text) => {
      stderr += text
    })
    const exited = once(child, 'exit')
    const [line] = await once(child.stdout, 'data')
    const { url } = JSON.parse(String(line))
    // A connection that is kept alive must not keep the process.
    expect((await post(url, 'u1')).status).toBe(201)
    child.kill(signal)
    expect(await exited).toEqual([0, null])
    expect(stderr).toBe('')
  }
})
