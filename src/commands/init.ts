// `suprsync init`: looks at the database's catalogue, proposes the users table and a mapping, writes the commented file and
// prints the SQL for a role of its own. Reads no row, changes nothing on the server, and never overwrites a file.
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Command, Option } from 'commander'
import { isPostgresUrl } from '../config/address.ts'
import { errorCode, SuprsyncError } from '../core/error.ts'
import { frameworksOf, proposeMapping } from '../core/guess-mapping.ts'
import type { Candidate } from '../core/guess-table.ts'
import { type Proposal, partColumns } from '../core/proposal.ts'
import { plainName, type QualifiedName, type Survey } from '../core/survey.ts'
import { connectionConfig, openClient } from '../postgres/connection.ts'
import { readServerFacts, readVersion, type ServerFacts } from '../postgres/preflight-facts.ts'
import { type GrantedTable, roleSql } from '../postgres/role-sql.ts'
import { versionFindings } from '../postgres/server-findings.ts'
import { surveyTables } from '../postgres/survey.ts'
import { type Dialogue, openDialogue } from './dialogue.ts'
import {
  decideChildren,
  decideOutput,
  decideTable,
  fileExists,
  readTableOption,
  refuseExisting,
} from './init-choices.ts'
import { mappingFile } from './init-file.ts'
import { initJson, initText, notes } from './init-text.ts'
import { printJson, printLine } from './output.ts'
import { oneLine } from './yaml-text.ts'

const DEFAULT_FILE = 'config/suprsync.yaml'

const EXAMPLES = `
Examples:
  $ DATABASE_URL=postgres://app@db.example.com/app suprsync init
  $ suprsync init --table public.members --output config/members.yaml
  $ suprsync init --yes --stdout > suprsync.yaml        the SQL goes to stderr
  $ suprsync init --yes --json | jq -r .sql

Reads the catalogue alone, no row of any table; changes nothing on the server; never overwrites a file. Asks on a terminal.
`

export interface InitOptions {
  readonly url?: string
  readonly table?: string
  readonly output: string
  readonly yes?: true
  readonly stdout?: true
  readonly ask?: true
  readonly json?: true
}

export function initCommand(): Command {
  return new Command('init')
    .description('look at the database, propose the users table and write a mapping file to start from')
    .addOption(
      new Option('-u, --url <url>', `the application's database; the file will say \${DATABASE_URL}`).env(
        'DATABASE_URL',
      ),
    )
    .option('-t, --table <table>', 'the users table, as in SQL: public."App Users"')
    .addOption(new Option('-o, --output <file>', 'where to write; - is stdout').default(DEFAULT_FILE))
    .option('--stdout', 'print the file instead of writing it; all else goes to stderr')
    .option('-y, --yes', 'ask nothing: take the best guess')
    .option('--ask', 'ask although no terminal is there: answers are read from stdin, a line each')
    .option('--json', 'print what was found, the file and the SQL as JSON')
    .addHelpText('after', EXAMPLES)
    .action(init)
}

async function init(options: InitOptions): Promise<void> {
  const url = readUrl(options.url)
  const wanted = options.table === undefined ? null : readTableOption(options.table)
  const toStdout = options.stdout === true || options.output === '-'
  using dialogue = mayAsk(options) ? openDialogue({ input: process.stdin, output: process.stderr }) : null
  // Before anybody has to answer a question, and again when writing.
  if (!toStdout && dialogue === null) await refuseExisting(options.output)
  const { survey, server } = await readCatalogue(url, wanted)
  const candidate = await decideTable(survey, { wanted, dialogue, best: options.yes === true })
  const proposal = await decideChildren(propose(candidate, survey), dialogue)
  const file = toStdout ? null : dialogue === null ? options.output : await decideOutput(options.output, dialogue)
  const yaml = mappingFile(proposal)
  if (file !== null) await write(file, yaml, dialogue)
  const { supabase } = frameworksOf(proposal.table, survey)
  const sql = roleSql({
    role: 'suprsync',
    schema: 'suprsync',
    publication: 'suprsync',
    tables: grantedTables(proposal),
    server,
    supabase,
  })
  const result = { proposal, file, yaml, sql, notes: notes(survey, proposal) }
  if (options.json) printJson(initJson(result))
  else if (file === null) {
    process.stdout.write(yaml)
    process.stderr.write(`${initText(result)}\n`)
  } else printLine(initText(result))
}

/** Without it a script could hang on a question nobody sees. */
function mayAsk({ yes, json, ask }: InitOptions): boolean {
  if (yes || json) return false
  return ask === true || (process.stdin.isTTY === true && process.stderr.isTTY === true)
}

function readUrl(url: string | undefined): string {
  const next = 'set DATABASE_URL, or give --url; an environment variable keeps the password out of the process list'
  if (url === undefined || url.trim() === '') {
    throw new SuprsyncError('usage_url_missing', 'The database is not named.', { details: { next } })
  }
  if (isPostgresUrl(url.trim())) return url.trim()
  throw new SuprsyncError('usage_url_invalid', 'Expected a URL such as postgres://user:password@host:5432/database.', {
    details: { next },
  })
}

interface Catalogue {
  readonly survey: Survey
  readonly server: ServerFacts
}

async function readCatalogue(url: string, first: QualifiedName | null): Promise<Catalogue> {
  const settings = { default_transaction_read_only: 'on', statement_timeout: '15s', lock_timeout: '2s' }
  const client = await openClient(connectionConfig(url, { applicationName: 'suprsync init', settings }))
  try {
    const [tooOld] = versionFindings(await readVersion(client))
    if (tooOld) throw new SuprsyncError(tooOld.code, tooOld.message)
    const server = await readServerFacts(client)
    if (server === null) throw new SuprsyncError('server_unreadable', 'The server does not tell who we are.')
    return { server, survey: await surveyTables(client, { first }) }
  } finally {
    await client.end()
  }
}

function propose(candidate: Candidate, survey: Survey): Proposal {
  const { table, reasons } = candidate
  const proposed = proposeMapping(table, survey, reasons.slice(0, 3).join(', ') || 'named by you')
  if (proposed.kind === 'ok') return proposed.proposal
  const name = oneLine(plainName(table))
  const next = 'choose another table with --table, or give this one such a column'
  if (proposed.reason === 'no_key') {
    const message = `The table ${name} has no primary key, and cannot be followed without one.`
    throw new SuprsyncError('primary_key_missing', message, { details: { next } })
  }
  const { generated } = proposed
  const but =
    generated === null
      ? ''
      : ` ${oneLine(generated)} would be such a column, but is generated, and PostgreSQL does not replicate generated columns.`
  throw new SuprsyncError(
    'distinct_id_unknown',
    `No column of ${name} can name a user: one is needed that is unique, never NULL, and no address.${but}`,
    {
      details: {
        next:
          generated === null
            ? next
            : 'write the file with user.distinct_id: {value: CEL} of the columns that it is made of',
      },
    },
  )
}

function grantedTables(proposal: Proposal): readonly GrantedTable[] {
  const parts = [
    { part: proposal, columns: partColumns(proposal, [proposal.distinctId.column]) },
    ...proposal.children
      .filter(({ on }) => on)
      .map((child) => ({ part: child, columns: partColumns(child, child.user) })),
  ]
  return parts.map(({ part: { table }, columns }) => {
    const { schema, name, partitioned, owner, rowSecurity } = table
    return { name: { schema, name }, partitioned, owner, rowSecurity, columns }
  })
}

async function write(file: string, text: string, dialogue: Dialogue | null): Promise<void> {
  if (dialogue !== null && !(await dialogue.confirm(`Write ${file}?`, true))) {
    throw new SuprsyncError('cancelled', 'Nothing was written.')
  }
  await mkdir(dirname(file), { recursive: true })
  try {
    await writeFile(file, text, { flag: 'wx' }) // Fails where somebody was quicker.
  } catch (error) {
    throw errorCode(error) === 'EEXIST' ? fileExists(file, error) : error
  }
}
