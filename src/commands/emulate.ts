// `suprsync emulate`: a local SuprSend to develop and test against. Prints where it listens, then one line a request on a
// terminal: ids only, no values. Ends on SIGINT or SIGTERM. Keeps nothing on disk.
import { once } from 'node:events'
import { Command, InvalidArgumentError, Option } from 'commander'
import { startEmulator } from '../emulator/emulator.ts'
import type { RequestLine } from '../emulator/user-api.ts'

/** What the command touches of its process; a test gives its own. */
export interface EmulateSurroundings {
  readonly output: { readonly isTTY?: boolean; write(text: string): unknown }
  /** Resolves when the command should end. */
  readonly ended: () => Promise<unknown>
}

interface Options {
  readonly listen: { readonly host: string; readonly port: number }
  readonly postReading: 'append' | 'replace'
  readonly patchMissing: 'create' | 'not_found'
  readonly apiKey?: string
  readonly latency: number
  readonly failureRate: number
  readonly rateLimit?: number
  readonly json?: true
  readonly quiet?: true
}

const EXAMPLES = `
Examples:
  suprsync emulate                                   any API key, http://127.0.0.1:8787
  suprsync emulate --listen 127.0.0.1:0 --json       a free port, printed as JSON
  suprsync emulate --post-reading replace --patch-missing not_found
  suprsync emulate --latency 50 --failure-rate 0.05  a slow, unreliable SuprSend
  suprsync emulate --rate-limit 100                  429 beyond 100 requests a second

Then SUPRSEND_BASE_URL=http://127.0.0.1:8787 makes suprsync, or any SuprSend SDK given that base URL, talk to it.
Users, history and faults: http://127.0.0.1:8787/_emulator/users, /_emulator/stats; see docs/emulator.md.
`

export function emulateCommand(surroundings: EmulateSurroundings = ofProcess()): Command {
  return new Command('emulate')
    .description('run a local SuprSend to develop and test against; keeps nothing on disk')
    .addOption(
      new Option('--listen <host:port>', 'where to listen; port 0 picks a free one')
        .argParser(parseListen)
        .default({ host: '127.0.0.1', port: 8787 }, '127.0.0.1:8787'),
    )
    .addOption(
      new Option('--post-reading <reading>', 'what POST does with values a user already has')
        .choices(['append', 'replace'])
        .default('append'),
    )
    .addOption(
      new Option('--patch-missing <answer>', 'what PATCH does for a user that does not exist')
        .choices(['create', 'not_found'])
        .default('create'),
    )
    .option('--api-key <key>', 'the key to be presented; any without this option')
    .option('--latency <ms>', 'delay of every answer', parseNumber({ min: 0, max: 600_000 }), 0)
    .option('--failure-rate <share>', 'share of requests that fail, 0 to 1', parseNumber({ min: 0, max: 1 }), 0)
    .option('--rate-limit <n>', 'requests a second before 429', parseNumber({ min: 1, whole: true }))
    .option('--json', 'print JSON lines')
    .option('--quiet', 'print no requests')
    .addHelpText('after', EXAMPLES)
    .action((options: Options) => emulate(options, surroundings))
}

async function emulate(options: Options, { output, ended }: EmulateSurroundings): Promise<void> {
  const end = ended()
  const print = (text: string): void => void output.write(`${text}\n`)
  const shows = options.quiet !== true && (options.json === true || output.isTTY === true)
  await using emulator = await startEmulator({
    ...options.listen,
    postReading: options.postReading,
    patchMissing: options.patchMissing,
    apiKey: options.apiKey ?? null,
    latencyMs: options.latency,
    failureRate: options.failureRate,
    rateLimit: options.rateLimit ?? null,
    ...(shows ? { onRequest: (line) => print(options.json ? JSON.stringify(line) : requestText(line)) } : {}),
  })
  print(options.json ? JSON.stringify({ url: emulator.url, port: emulator.port }) : greeting(emulator.url))
  await end
}

function greeting(url: string): string {
  return `SuprSend emulator on ${url}

Try:
  curl -X POST '${url}/v1/user/user123/' \\
    -H 'Authorization: Bearer any-key' -H 'Content-Type: application/json' \\
    -d '{"$email": ["user@example.com"], "$sms": ["+1234567890"], "name": "Ada"}'
  curl '${url}/_emulator/users'
`
}

/** `POST  user123  201  0.4 ms`. An id with control characters is quoted, so that it cannot write to the terminal. */
function requestText({ method, distinctId, status, durationMs }: RequestLine): string {
  const id = distinctId === null ? '-' : /[\p{C}"]/u.test(distinctId) ? quoted(distinctId) : distinctId
  return `${method.padEnd(6)}  ${id}  ${status}  ${durationMs.toFixed(1)} ms`
}

function quoted(id: string): string {
  return JSON.stringify(id).replace(/\p{C}/gu, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`)
}

function parseListen(text: string): Options['listen'] {
  const [, host, port] = /^(.+):(\d{1,5})$/.exec(text) ?? []
  if (host === undefined || Number(port) > 65_535) {
    throw new InvalidArgumentError('Expected host:port, such as 127.0.0.1:8787.')
  }
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) }
}

function parseNumber(bounds: { readonly min: number; readonly max?: number; readonly whole?: boolean }) {
  const { min, max = Number.MAX_SAFE_INTEGER, whole = false } = bounds
  return (text: string): number => {
    const value = Number(text)
    if (text.trim() !== '' && value >= min && value <= max && (!whole || Number.isInteger(value))) return value
    const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`
    throw new InvalidArgumentError(`Expected a ${whole ? 'whole ' : ''}number ${range}.`)
  }
}

function ofProcess(): EmulateSurroundings {
  return {
    output: process.stdout,
    ended: async () => {
      const done = new AbortController()
      await Promise.race(['SIGINT', 'SIGTERM'].map((name) => once(process, name, { signal: done.signal }))).finally(
        () => done.abort(),
      )
    },
  }
}
