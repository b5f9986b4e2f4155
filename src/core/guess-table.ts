// Which table holds the users: a score for every table from its name, its columns and who refers to it, with the reasons a
// person reads. Numbers are weights of evidence and mean nothing by themselves.
import { singular, words } from './column-words.ts'
import { kindOf, plainName, type Survey, type SurveyTable, sameName } from './survey.ts'

export interface Candidate {
  readonly table: SurveyTable
  readonly score: number
  /** Best first, for a list. */
  readonly reasons: readonly string[]
}

export type Choice =
  | { readonly kind: 'clear'; readonly best: Candidate }
  /** The second is nearly as good: a person should say. */
  | { readonly kind: 'close'; readonly best: Candidate; readonly second: Candidate }
  | { readonly kind: 'none' }

const NAMES: ReadonlyMap<string, number> = new Map([
  ['user', 50],
  ['customer', 35],
  ['member', 30],
  ['account', 30],
  ['person', 25],
  ['client', 20],
  ['subscriber', 25],
  ['contact', 20],
  ['profile', 15],
  ['employee', 15],
  ['student', 15],
  ['patient', 15],
  ['player', 15],
])
/** Of frameworks: auth_user, app_users, core_user, accounts_user, users_user. */
const PREFIX = /^(auth|app|core|accounts?|users?|main|base|custom|tbl|t|public|identity|my)_/
/** Platforms' own. */
const FOREIGN_SCHEMAS =
  /^(storage|realtime|_realtime|vault|pgsodium|graphql(_public)?|extensions|cron|net|supabase_.*|hdb_catalog|pgboss|graphile_.*|suprsync|partman|tiger|topology)$/
/** Below it nothing speaks for a table. */
const LEAST = 40
const CLOSE = 15

/** Best first. */
export function rankTables(survey: Survey): readonly Candidate[] {
  return survey.tables
    .filter(({ schema }) => !FOREIGN_SCHEMAS.test(schema))
    .map((table) => scoreTable(table, survey))
    .filter(({ score }) => score >= LEAST)
    .toSorted((a, b) => b.score - a.score || (b.table.rowsEstimated ?? 0) - (a.table.rowsEstimated ?? 0))
}

export function chooseTable(ranked: readonly Candidate[]): Choice {
  const [best, second] = ranked
  if (best === undefined) return { kind: 'none' }
  return second !== undefined && best.score - second.score < CLOSE
    ? { kind: 'close', best, second }
    : { kind: 'clear', best }
}

export function scoreTable(table: SurveyTable, survey: Survey): Candidate {
  const evidence = [...nameEvidence(table), ...columnEvidence(table), ...keyEvidence(table, survey)]
  const reasons = evidence.filter(([points, reason]) => points > 0 && reason !== '').toSorted((a, b) => b[0] - a[0])
  return {
    table,
    score: evidence.reduce((sum, [points]) => sum + points, 0),
    reasons: reasons.map(([, reason]) => reason),
  }
}

type Evidence = readonly [points: number, reason: string]

function nameEvidence(table: SurveyTable): readonly Evidence[] {
  const name = singular(words(table.name))
  const bare = name.replace(PREFIX, '')
  const points = NAMES.get(name) ?? NAMES.get(bare)
  if (points !== undefined) return [[points, 'named like a users table']]
  // admin_users, team_members: users, but rarely all of them.
  const last = NAMES.get(name.split('_').at(-1) ?? '')
  return last === undefined ? [] : [[Math.floor(last / 3), 'its name ends like a users table']]
}

function columnEvidence(table: SurveyTable): readonly Evidence[] {
  const evidence: Evidence[] = []
  const texts = table.columns.filter(({ type }) => kindOf(type) === 'text')
  const has = (pattern: RegExp) => texts.find(({ name }) => pattern.test(words(name)))
  const email = has(/^((primary|user|contact)_)?e_?mail(_?address)?$/)
  if (email) evidence.push([30, 'has an e-mail address'])
  if (email && table.unique.some(([first, second]) => first === email.name && second === undefined)) {
    evidence.push([10, 'which is unique'])
  }
  if (has(/^(phone|mobile)(_?number)?$/)) evidence.push([10, 'has a telephone number'])
  if (has(/^(encrypted_|hashed_)?password(_hash|_digest)?$|^crypted_password$|^pass(wd)?$/))
    evidence.push([20, 'has a password'])
  if (has(/^((first|full|display|last)_)?name$/)) evidence.push([5, 'has names'])
  if (has(/^(locale|language|time_?zone|tz)$/)) evidence.push([10, 'has a language or a time zone'])
  return evidence
}

function keyEvidence(table: SurveyTable, survey: Survey): readonly Evidence[] {
  const evidence: Evidence[] = []
  if (table.key.length === 0) evidence.push([-30, ''])
  if (table.key.length > 1) evidence.push([-15, ''])
  const referring = survey.tables.filter(
    (other) => other !== table && other.foreignKeys.some(({ target }) => sameName(target, table)),
  ).length
  if (referring > 0) {
    evidence.push([
      Math.min(30, 6 * referring),
      referring === 1 ? '1 table refers to it' : `${referring} tables refer to it`,
    ])
  }
  // A row that is another row's: profiles of users, accounts of users at a provider, members of teams.
  const others = table.foreignKeys.filter(({ target }) => !sameName(target, table))
  const extended = others.some(
    ({ columns }) => table.key.length > 0 && columns.some((column) => table.key.includes(column)),
  )
  const owned = others.some(({ target }) => NAMES.has(singular(words(target.name)).replace(PREFIX, '')))
  if (extended) evidence.push([-25, ''])
  if (owned) evidence.push([-25, ''])
  return evidence
}

/** The table that was asked for, by its exact name. */
export function findTable(
  survey: Survey,
  wanted: { readonly schema: string; readonly name: string },
): SurveyTable | null {
  return survey.tables.find((table) => sameName(table, wanted)) ?? null
}

/** `public.users: named like a users table, has an e-mail address`. */
export function candidateText({ table, reasons }: Candidate): string {
  return `${plainName(table)}: ${reasons.join(', ')}`
}
