// `suprsync demo`: all of it at work on the reader's own machine, in half a minute. Joins the stage of src/demo with the
// real `suprsync run`; exits with 1 unless every row equals its user at the end. Takes everything away again, however it
// ends (P10).

import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError } from 'commander'
import { loadConfig } from '../config/load.ts'
import { SuprsyncError } from '../core/error.ts'
import { SILENT_LOGGER } from '../core/logger.ts'
import { mappedColumns } from '../core/mapped-columns.ts'
import { compileMapping } from '../core/mapping.ts'
import { Scenario } from '../demo/scenario.ts'
import { Screen } from '../demo/screen.ts'
import { ServiceProcess } from '../demo/service-process.ts'
import { API_KEY, buildStage, type MappingMaker, type Stage } from '../demo/stage.ts'
import { showSummary, summarise } from '../demo/summary.ts'
import { installSignals } from '../ops/signals.ts'
import { describeTable } from '../postgres/catalogue.ts'
import { EXIT } from './exit-code.ts'
import { printJson } from './output.ts'

interface Options {
  readonly seconds: number
  readonly json?: true
  readonly keep?: true
}

const CONFIG_FILE = fileURLToPath(new URL('../../config/demo.yaml', import.meta.url))
/** For all that is not activity: starting twice, catching up, closing. Twelve seconds of activity end within 30. */
const OVERHEAD_MS = 16_000
/** Of that, for what follows the activity. */
const CLOSING_MS = 5_000
const LEAST_ACTIVITY_MS = 2_000
const SERVICE_START_MS = 15_000
/** As a shell counts a command ended by Ctrl-C. */
const INTERRUPTED = 130

const NOTE = `
Examples:
  $ suprsync demo
  $ suprsync demo --keep                 then edit a user with psql, and look at SuprSend with curl
  $ suprsync demo --seconds 5 --json     for scripts

Needs nothing but the checkout: PostgreSQL comes from npm, SuprSend is played by the emulator, and the service is the real
\`suprsync run\`, which is killed with kill -9 on the way. Exits with 1 unless every row equals its user at the end.
`

export function demoCommand(): Command {
  return new Command('demo')
    .description('show all of it at work: PostgreSQL, the service and a local SuprSend, in half a minute')
    .option('--seconds <n>', 'how long the application works', parseSeconds, 12)
    .option('--json', 'print only the summary, as JSON')
    .option('--keep', 'leave all of it running until Ctrl-C, and print how to connect')
    .addHelpText('after', NOTE)
    .action(demo)
}

async function demo({ seconds, json, keep }: Options): Promise<void> {
  const startedAt = performance.now()
  const screen = new Screen(json ? { write: () => undefined } : process.stdout, {
    colour: process.stdout.isTTY === true && process.stdout.hasColors(),
  })
  using signals = installSignals({ shutdownTimeoutMs: 15_000, log: SILENT_LOGGER })
  const { signal } = signals
  signal.addEventListener('abort', () => screen.line({ text: '  stopping', tone: 'dim' }), { once: true })

  screen.line('')
  screen.line('  suprsync demo: what SuprSend hears when an application edits its users')
  screen.line('')
  await using closing = new AsyncDisposableStack()
  const stage = closing.use(await buildStage({ screen, mappingFor }))
  const scenario = new Scenario(stage, {
    signal,
    startService: (stop) =>
      ServiceProcess.start({ configFile: CONFIG_FILE, env: environment(stage), timeoutMs: SERVICE_START_MS }, stop),
    activityEndsAt: (readyAt) => {
      const left = startedAt + seconds * 1000 + OVERHEAD_MS - CLOSING_MS - readyAt
      return readyAt + Math.min(seconds * 1000, Math.max(LEAST_ACTIVITY_MS, left))
    },
  })
  const played = await scenario.play((service) => closing.use(service))
  if (played === null) {
    process.exitCode = INTERRUPTED
    return
  }
  const summary = await summarise(stage, played)
  if (!summary.ok) process.exitCode = EXIT.failed
  const { service } = played
  if (json) printJson({ ...summary, ...placesOf(stage, service) })
  else showSummary(screen, summary)
  if (keep && !signal.aborted) {
    showConnections(stage, service)
    stage.narrator.telling = 'calls'
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
  }
  screen.line('')
}

/** The mapping that the service will compile from the same file, and the columns that it reads. */
const mappingFor: MappingMaker = async (pool) => {
  const env = { DATABASE_URL: 'postgres://127.0.0.1', SUPRSEND_API_KEY: API_KEY, SUPRSEND_BASE_URL: 'http://127.0.0.1' }
  const config = await loadConfig({ path: CONFIG_FILE, env, readFile: (file) => readFile(file, 'utf8') })
  const described = await describeTable(pool, config.source.table, mappedColumns(config.mapping))
  const compiled = described.kind === 'missing' ? null : compileMapping(config.mapping, described.table)
  if (described.kind === 'missing' || compiled?.kind !== 'ok') {
    throw new SuprsyncError(
      'demo_mapping_failed',
      'config/demo.yaml does not fit the table of the demo; was it edited?',
    )
  }
  return { columns: described.table.wanted.map(({ name }) => name), map: compiled.mapping.map }
}

function environment(stage: Stage): Readonly<Record<string, string>> {
  return { DATABASE_URL: stage.serviceUrl, SUPRSEND_API_KEY: API_KEY, SUPRSEND_BASE_URL: stage.emulator.url }
}

function placesOf({ cluster, ownerUrl, emulator }: Stage, service: ServiceProcess) {
  return {
    postgres: { url: ownerUrl, pid: cluster.pid, dataDir: cluster.dataDir },
    emulator: { url: emulator.url },
    service: { url: service.url, pid: service.pid },
  }
}

function showConnections({ screen, ownerUrl, emulator }: Stage, service: ServiceProcess): void {
  screen.rule('still running: edit a user yourself, Ctrl-C ends everything')
  screen.line('')
  for (const line of [
    `psql ${ownerUrl}`,
    `psql ${ownerUrl} -c "UPDATE users SET plan = 'vip' WHERE id < 9"`,
    `curl ${emulator.url}/_emulator/users`,
    `curl ${service.url}/metrics`,
  ]) {
    screen.line('  ', line)
  }
  screen.line('')
}

function parseSeconds(text: string): number {
  const seconds = Number(text)
  if (text.trim() !== '' && seconds >= 1 && seconds <= 600) return seconds
  throw new InvalidArgumentError('Expected a number from 1 to 600.')
}
