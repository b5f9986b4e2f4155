// What else of a row a profile may hold: language, time zone, names, plan and the like. What is useful in most templates is on;
// what needs a person's judgement (numbers that stand for something, JSON, what changes at every visit) is proposed switched off.
import { inExpression, words } from './column-words.ts'
import { findColumn } from './guess-columns.ts'
import type { ProposedLine } from './proposal.ts'
import { RAILS_TIME_ZONES } from './rails-time-zones.ts'
import { type ColumnKind, kindOf, type SurveyColumn, type SurveyTable } from './survey.ts'

const USEFUL =
  /^((first|last|middle|full|display|given|family|preferred|nick|sur)_?name|name|user_?name|nickname|company(_name)?|organi[sz]ation(_name)?|job_title|title|plan(_name)?|tier|subscription(_plan|_tier|_status)?|role|city|country(_code)?|avatar(_url)?|image|image_url|photo_url|picture|is_(premium|pro|trial|vip|staff)|(created|registered|joined|signed_up)(_at|_on)?|date_joined|created|trial_(ends|end|expires)(_at|_on)?)$/
/** Each visit would be a call to SuprSend. */
const RESTLESS =
  /^(updated|modified|last_(?!name)|current_|sign_in_count|login_count|failed_|lock_version|version$|remember_created)|_count$|(^|_)(last_seen|last_login|last_active|seen_at|synced)(_|$)/
/** Never of use to a template. */
const NOISE =
  /(_sent|_created|_accepted|_confirmed|_verified)_at$|^(confirmed|verified|locked|invited)_at$|^(aud|instance_id)$/

export interface PropertyContext {
  readonly rails: boolean
  /** Columns that another line or a condition reads already. */
  readonly used: ReadonlySet<string>
}

export function guessProperties(
  table: SurveyTable,
  columns: readonly SurveyColumn[],
  { rails, used }: PropertyContext,
): readonly ProposedLine[] {
  const reserved = [...timezone(columns, rails), ...language(columns)]
  const done = new Set([...used, ...reserved.flatMap(({ source }) => (typeof source === 'string' ? [source] : []))])
  const zone = zoneColumn(columns)
  if (zone) done.add(zone.name)
  const referring = new Set(table.foreignKeys.flatMap((key) => key.columns))
  const rest = columns.filter(({ name }) => !done.has(name) && !table.key.includes(name))
  return [...reserved, ...rest.flatMap((column) => property(column, referring)), ...fullName(columns)]
}

function fullName(columns: readonly SurveyColumn[]): readonly ProposedLine[] {
  const first = findColumn(columns, ['text'], [/^(first|given)_?name$/])
  const last = findColumn(columns, ['text'], [/^(last|family|sur)_?name$/])
  const whole = findColumn(columns, ['text'], [/^((full|display)_?)?name$/])
  if (!first || !last || whole) return []
  const value = `${inExpression(first.name)} + " " + ${inExpression(last.name)}`
  return [{ key: 'name', source: { value }, on: false, why: 'absent where one of the two is NULL' }]
}

function zoneColumn(columns: readonly SurveyColumn[]): SurveyColumn | null {
  return findColumn(
    columns,
    ['text', 'enum'],
    [/^time_?zone$/, /^(user|iana|preferred|local)_time_?zone$/, /^tz(_?name)?$/, /_time_?zone$/],
  )
}

function timezone(columns: readonly SurveyColumn[], rails: boolean): readonly ProposedLine[] {
  const zone = zoneColumn(columns)
  if (!zone) return []
  if (rails && words(zone.name) === 'time_zone') {
    const source = { column: zone.name, map: Object.fromEntries(RAILS_TIME_ZONES) }
    return [
      {
        key: '$timezone',
        source,
        on: true,
        why: `${zone.name} holds names of Rails; where it holds IANA names too, add those`,
      },
    ]
  }
  return [{ key: '$timezone', source: zone.name, on: true, why: `${zone.name} should hold IANA names` }]
}

function language(columns: readonly SurveyColumn[]): readonly ProposedLine[] {
  const locale = findColumn(columns, ['text', 'enum'], [/^locale$/, /^(user|preferred)_locale$/, /_locale$/])
  const spoken = findColumn(columns, ['text', 'enum'], [/^(preferred_)?(language|lang)(_code)?$/, /_(language|lang)$/])
  const lines: ProposedLine[] = []
  const first = spoken ?? locale
  if (first) {
    const why = `the first two letters of ${first.name} should be a language`
    lines.push({ key: '$preferred_language', source: first.name, on: true, why })
  }
  if (locale) {
    const why = `${locale.name} with its country, where your templates tell en-GB from en-US`
    lines.push({ key: '$locale', source: locale.name, on: spoken !== null, why })
  }
  return lines
}

function property(column: SurveyColumn, referring: ReadonlySet<string>): readonly ProposedLine[] {
  const name = words(column.name)
  const kind = kindOf(column.type)
  if (NOISE.test(name)) return []
  const key = propertyKey(column.name)
  const off = (why: string, source: ProposedLine['source'] = column.name) => [{ key, source, on: false, why }]
  if (RESTLESS.test(name)) return off('changes often, and each change is a call to SuprSend')
  if (referring.has(column.name)) return off('refers to another table')
  if (kind === 'json')
    return off('a member: its name goes in place of key', { value: `${inExpression(column.name)}.key` })
  if (USEFUL.test(name) && kind !== 'integer') {
    return [{ key, source: column.name, on: true, why: `${WHY[kind]}, of use in most templates` }]
  }
  if (kind === 'integer' && !/(^|_)id$/.test(name)) {
    return off(`a number: if it stands for something, name it with map: {"0": …}`)
  }
  return off(WHY[kind])
}

const WHY: Readonly<Record<ColumnKind, string>> = {
  text: 'a text',
  enum: 'one of a few words',
  uuid: 'an id',
  integer: 'a number',
  number: 'a number',
  boolean: 'true or false',
  instant: 'a date, in ISO 8601',
  json: 'JSON',
  texts: 'a list of texts',
  other: 'as its text',
}

/** Names that SuprSend keeps for itself, and blanks around a name, make no property. */
function propertyKey(column: string): string {
  const name = column.trim()
  return name.startsWith('$') || /^ss_/i.test(name) || name === '' ? `user_${words(name) || 'property'}` : name
}
