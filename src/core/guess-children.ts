// Tables whose rows belong to a user and hold addresses (devices, further e-mail addresses) or, where a user has at most one
// such row, what else a profile may hold. Found by foreign keys and, where an application declares none, by the column's name.

import { singular, words } from './column-words.ts'
import { expressionColumns } from './expression.ts'
import { type ChannelContext, guessChannels } from './guess-channels.ts'
import { usableColumns } from './guess-columns.ts'
import { guessProperties } from './guess-properties.ts'
import { guessWhen } from './guess-when.ts'
import { isChannelKey } from './profile.ts'
import { type ProposedChild, type ProposedLine, sourceColumns } from './proposal.ts'
import { asTable, plainName, type Survey, type SurveyTable, sameName } from './survey.ts'
import { compileUserKey } from './user-key.ts'

export interface ChildContext {
  readonly rails: boolean
  readonly supabase: boolean
  /** Keys that the users table gives. */
  readonly given: ReadonlySet<string>
}

/** Tables that hold an address or a token for another purpose than reaching the user. */
const NEVER =
  /(^|_)(sessions?|oauth|o_?auth\d?|access|refresh|api|identit(y|ies)|passwords?|audits?|logs?|history|events?|mfa|logins?|invit(e|es|ation|ations)|verifications?|confirmations?|resets?|orders?|invoices?|payments?|billing|versions?|one_time|social|providers?|factors?|messages?|deliveries|jobs?|queue|archives?|backups?)(_|$)/

export function guessChildren(users: SurveyTable, survey: Survey, context: ChildContext): readonly ProposedChild[] {
  const taken = new Set(context.given)
  return survey.tables.flatMap((table) => {
    if (sameName(table, users) || table.key.length === 0) return []
    const link = linkTo(users, table)
    if (link === null) return []
    const child = proposeChild(table, link, { ...context, given: taken })
    // A property or `$timezone` that two tables give is an error; channels unite.
    if (child?.on) for (const { key, on } of child.profile) if (on && !isChannelKey(key)) taken.add(key)
    return child === null ? [] : [child]
  })
}

interface Link {
  readonly columns: readonly string[]
  readonly why: string
  readonly single: boolean
  /** Its values can be told to be a user's. */
  readonly readable: boolean
}

function linkTo(users: SurveyTable, table: SurveyTable): Link | null {
  const columns = byForeignKey(users, table) ?? byName(users, table)
  if (columns === null) return null
  const declared = table.foreignKeys.some(({ target }) => sameName(target, users))
  const single = table.unique.some((set) => set.every((column) => columns.includes(column)))
  const how = declared ? 'refers to' : 'by its name refers to'
  const [theirs, ours] = [asTable(table, columns), asTable(users, [])]
  const readable = compileUserKey({ users: ours, child: theirs, user: columns, path: 'user' }).kind === 'ok'
  const misfit = readable ? '' : ', but equal values may read differently: `check` says what would mend it'
  return {
    columns,
    single,
    readable,
    why: `${columns.join(', ')} ${how} ${plainName(users)}${single ? ', at most one row a user' : ''}${misfit}`,
  }
}

/** In the order of the users table's key. */
function byForeignKey(users: SurveyTable, table: SurveyTable): readonly string[] | null {
  for (const { columns, target, targetColumns } of table.foreignKeys) {
    if (!sameName(target, users)) continue
    const ordered = users.key.map((key) => columns[targetColumns.indexOf(key)])
    if (ordered.length > 0 && ordered.every((column) => column !== undefined)) return ordered
  }
  return null
}

/** `user_id` of the type of `users.id`, where no foreign key says anything else of it. */
function byName(users: SurveyTable, table: SurveyTable): readonly string[] | null {
  const [key, second] = users.key
  if (key === undefined || second !== undefined || table.schema !== users.schema) return null
  const type = users.columns.find(({ name }) => name === key)?.type.baseOid
  const wanted = `${singular(words(users.name))}_${words(key)}`
  const column = table.columns.find(({ name, type: own }) => words(name) === wanted && own.baseOid === type)
  if (column === undefined || table.foreignKeys.some(({ columns }) => columns.includes(column.name))) return null
  return [column.name]
}

function proposeChild(table: SurveyTable, link: Link, context: ChildContext): ProposedChild | null {
  const name = words(table.name)
  if (NEVER.test(name)) return null
  const subject = subjectOf(name)
  const columns = usableColumns(table).filter((column) => !link.columns.includes(column.name))
  const channels = guessChannels(table, columns, { subject, supabase: false }).map((line) => settled(line, context))
  const when = guessWhen(table)
  const used = new Set([
    ...expressionColumns(when?.text ?? 'true'),
    ...channels.flatMap(({ source }) => sourceColumns(source)),
  ])
  // Only a 1:1 table has one value of each for a user.
  const scalars = link.single
    ? guessProperties(table, columns, { rails: context.rails, used }).map((line) => settled(line, context))
    : []
  const profile = [...channels, ...scalars]
  const on = profile.some((line) => line.on)
  // Where all a table has is things to switch on, only addresses are worth a mention.
  if (!on && channels.length === 0) return null
  return { table, user: link.columns, when, profile, on: on && link.readable, why: link.why }
}

/** What the users table gives already is not given twice. */
function settled(line: ProposedLine, { given }: ChildContext): ProposedLine {
  if (!line.on || !given.has(line.key)) return line
  const why = isChannelKey(line.key)
    ? `the users table has ${line.key} too: with both, both are used`
    : 'another table gives it already, and two may not'
  return { ...line, on: false, why }
}

function subjectOf(name: string): ChannelContext['subject'] {
  if (/(^|_)(devices?|push|fcm|apns|tokens?|installations?|notification(s)?|subscriptions?)(_|$)/.test(name))
    return 'device'
  if (/e_?mail/.test(name)) return 'email'
  return /(^|_)(phones?|mobiles?|telephones?)(_|$)|phone_?numbers?$/.test(name) ? 'phone' : null
}
