// npm run soak -- --minutes 10 --seed 7 [--json]: a chaos run for as long as wanted (soak.ts). Prints the seed first, what happens as
// it happens, and at last the figures, or what did not hold. Exit code 1 when something did not, 2 for wrong usage. Ctrl-C ends it
// and leaves nothing behind.
import { parseArgs } from 'node:util'
import { makePlan } from './plan.ts'
import { reportText, runSoak } from './soak.ts'

const HELP = `npm run soak -- [--minutes n] [--seed s] [--json] [--quiet]

Two captures, three senders, an emulator of SuprSend and two PostgreSQL servers, all on this machine; processes that are killed,
frozen and deployed, networks that break, servers that restart, and a SuprSend that fails. In the end SuprSend must equal the tables.

  --minutes n   length of the storm, from 0.33; default 2
  --seed s      the same seed makes the same plan; default: another one each time, which is printed
  --json        one JSON document on stdout; what happens goes to stderr
  --quiet       does not print what happens
`
const CONVERGE_WITHIN_MS = 120_000

process.exitCode = await main()

async function main(): Promise<number> {
  const options = parsed(process.argv.slice(2))
  if (options === null) {
    process.stderr.write(HELP)
    return 2
  }
  const { minutes, seed, json, quiet, help } = options
  if (help) {
    process.stdout.write(HELP)
    return 0
  }
  const interrupted = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupted.abort())
  const say = (text: string) => {
    if (!quiet) process.stderr.write(`${text}\n`)
  }
  say(`seed ${seed}, ${minutes} minutes`)
  const report = await runSoak({
    plan: makePlan(seed, minutes),
    signal: interrupted.signal,
    convergeWithinMs: CONVERGE_WITHIN_MS,
    onEvent: say,
  })
  process.stdout.write(`${json ? JSON.stringify(report) : reportText(report)}\n`)
  return report.problems.length === 0 ? 0 : 1
}

interface Options {
  readonly minutes: number
  readonly seed: number
  readonly json: boolean
  readonly quiet: boolean
  readonly help: boolean
}

/** Null: wrong usage. */
function parsed(args: string[]): Options | null {
  try {
    const { values } = parseArgs({
      args,
      options: {
        minutes: { type: 'string', default: '2' },
        seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
        json: { type: 'boolean', default: false },
        quiet: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    const minutes = Number(values.minutes)
    const seed = Number(values.seed)
    const usable = minutes > 0 && minutes <= 7 * 24 * 60 && Number.isInteger(seed) && seed >= 0
    return usable ? { ...values, minutes, seed } : null
  } catch {
    return null // parseArgs has met an option that it does not know
  }
}
