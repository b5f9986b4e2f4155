// Whether a connection to the state is a session of its own. Locks are held by a server's session (direct-session.ts) and our tables
// are found by its search_path: through a pooler that lends one session to many, or drops what a session sets at its start,
// two processes would hold the same locks, or ours would write to the application's tables. A pooler that lends a whole session and
// passes its settings on is as good as the server itself, and cannot be told from it.
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { errorCode, errorMessage, SuprsyncError } from '../core/error.ts'
import type { Finding } from '../core/finding.ts'

/** Which server's session answered, and what it knows of the setting that was given at its start. */
interface Answer {
  readonly pid: number
  readonly mark: string | null
}

const ASK = "select pg_backend_pid() as pid, current_setting('suprsync.session', true) as mark"

/** A setting that one session alone is started with: what does not know it is another's. */
export class SessionMark {
  readonly #mark = randomBytes(8).toString('hex')

  /** For the startup `options` of the connection. */
  get option(): string {
    return `-c suprsync.session=${this.#mark}`
  }

  /** Asked twice, outside of transactions: in between, a pooler may lend the session to another. */
  async ask(client: Pick<pg.Client, 'query'>): Promise<Finding | null> {
    return this.judge([await answerOf(client), await answerOf(client)])
  }

  judge(answers: readonly Answer[]): Finding | null {
    const marks = answers.map(({ mark }) => mark)
    const isLent =
      new Set(answers.map(({ pid }) => pid)).size > 1 || marks.some((mark) => mark !== null && mark !== this.#mark)
    if (isLent) return POOLED
    return marks.includes(null) ? OPTIONS_LOST : null
  }

  /** @throws SuprsyncError with the code of a finding */
  async assertDirect(client: Pick<pg.Client, 'query'>): Promise<void> {
    const found = await this.ask(client)
    if (found !== null) throw new SuprsyncError(found.code, found.message)
  }
}

/**
 * A connection that a pooler refused for what it sets is named; any other error is left as it is. 08P01, of PgBouncer: "unsupported
 * startup parameter: options", "unsupported startup parameter in options: suprsync.session".
 */
export function namedRefusal(error: unknown): unknown {
  if (errorCode(error) !== '08P01' || !/unsupported startup parameter/i.test(errorMessage(error))) return error
  return new SuprsyncError(
    'pooler_in_the_way',
    'state.url (source.url, where it is not given) leads through a pooler that refuses what our sessions set. Use the address of PostgreSQL itself; ignore_startup_parameters of PgBouncer is no mend.',
    { cause: error },
  )
}

/**
 * Whose turn it is to ask. One session that is lent to whoever comes answers both; several that are lent in turn, or the one that came
 * back last first, answer one of the two differently: the turns of each fit no rhythm.
 */
const TURNS = 'aabbabaabbab'

/** For an answer to the simplest of questions; a pooler without a free session lets it wait. */
const TIMEOUT_MS = 10_000

/** Looks by two connections that are open at once. Null = all is well. Rejects where they cannot be had. */
export async function findPooler(connection: pg.ClientConfig): Promise<Finding | null> {
  await using closing = new AsyncDisposableStack()
  const open = async () => {
    const mark = new SessionMark()
    const options = [connection.options, mark.option].filter(Boolean).join(' ')
    const client = new pg.Client({ ...connection, options, query_timeout: TIMEOUT_MS })
    client.on('error', () => undefined) // The next statement tells.
    closing.defer(() => client.end().catch(() => undefined))
    await client.connect()
    return { client, mark, answers: [] as Answer[] }
  }
  const [a, b] = [await open(), await open()]
  for (const turn of TURNS) {
    const { client, answers } = turn === 'a' ? a : b
    answers.push(await answerOf(client))
  }
  const pids = new Set(a.answers.map(({ pid }) => pid))
  if (b.answers.some(({ pid }) => pids.has(pid))) return POOLED
  const found = [a.mark.judge(a.answers), b.mark.judge(b.answers)]
  return found.find((each) => each === POOLED) ?? found.find((each) => each !== null) ?? null
}

async function answerOf(client: Pick<pg.Client, 'query'>): Promise<Answer> {
  const { rows } = await client.query<{ pid: number; mark: string | null }>(ASK)
  const [row] = rows
  return { pid: row?.pid ?? 0, mark: row?.mark ?? null }
}

const POOLED: Finding = {
  code: 'state_pooled',
  level: 'error',
  message:
    'state.url (source.url, where it is not given) leads through a pooler that lends a session of the server for one transaction at a time: the locks that let one process work would be held by all. Use the address of PostgreSQL itself: not the port of PgBouncer with pool_mode = transaction or statement (6432), nor port 6543 of Supabase but 5432 of db.<project>.supabase.co.',
}

const OPTIONS_LOST: Finding = {
  code: 'state_options_lost',
  level: 'error',
  message:
    'state.url (source.url, where it is not given) leads through a pooler that drops the startup parameter options, or lends a session that others began: the schema of our tables and the time-outs of our sessions would not be set. Use the address of PostgreSQL itself; ignore_startup_parameters of PgBouncer is no mend but the cause.',
}
