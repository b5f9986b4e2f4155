// Addresses of a user among the columns of one table: e-mail, telephone, push tokens, Slack. A line is on only where name and
// type leave little doubt; what else looks like an address is proposed switched off.
import { inExpression, words } from './column-words.ts'
import { canBeUnset, findColumn, isPushToken, isSet } from './guess-columns.ts'
import { type ProposedLine, SLACK_BOT_TOKEN, type Written } from './proposal.ts'
import { kindOf, type SurveyColumn, type SurveyTable } from './survey.ts'

export interface ChannelContext {
  /** Supabase stores telephone numbers without their +. */
  readonly supabase: boolean
  /** What the table's own name says its `token`, `address` or `value` is. */
  readonly subject: 'email' | 'phone' | 'device' | null
}

const TEXTS = ['text', 'texts', 'json']
const EMAIL = [
  /^e_?mail$/,
  /^(primary|user|login|account|contact)_e_?mail(_address)?$/,
  /^(e_?mail|mail)_?address$/,
  /^mail$/,
  /(^|_)e_?mails?(_addresses)?$/,
]
const PHONE = [
  /^(phone|mobile|cell|telephone|tel|msisdn)$/,
  /^(mobile|cell|sms)_?(phone|number)(_number)?$/,
  /^(primary|user|contact)_(phone|mobile)(_number)?$/,
  /^(phone|telephone|contact)_?(number|no|e164)$/,
  /(^|_)(phone|mobile)(_number)?s?$/,
]
/** Addresses of something else than the user. */
const NOT_OWN = /(^|_)(billing|invoice|support|emergency|manager|parent|referrer|reply|from|office|fax|company)(_|$)/

export function guessChannels(
  table: SurveyTable,
  columns: readonly SurveyColumn[],
  context: ChannelContext,
): readonly ProposedLine[] {
  return [...emails(columns, context), ...phones(columns, context), ...push(table, columns, context), ...slack(columns)]
}

function emails(columns: readonly SurveyColumn[], { subject }: ChannelContext): readonly ProposedLine[] {
  const own = columns.filter((column) => !NOT_OWN.test(words(column.name)))
  const patterns = subject === 'email' ? [...EMAIL, /^(address|value)$/] : EMAIL
  const main = findColumn(own, TEXTS, patterns)
  if (!main) return []
  const proof = findColumn(
    columns,
    ['instant', 'boolean'],
    [/^(is_)?e_?mail_(confirmed|verified)(_at|_on)?$/, /^(is_)?(confirmed|verified)(_at|_on)?$/],
  )
  const conditions = [...primary(columns, subject), ...(proof && canBeUnset(proof) ? [proof] : [])]
  const others = own.filter((column) => column !== main && TEXTS.includes(kindOf(column.type)) && isOne(EMAIL, column))
  return [
    line('$email', conditional(main, conditions), because(`${main.name} holds an e-mail address`, conditions)),
    ...others.map((column) =>
      off('$email', column.name, `another address: as a list, [${main.name}, ${column.name}], both are used`),
    ),
  ]
}

function phones(columns: readonly SurveyColumn[], { subject, supabase }: ChannelContext): readonly ProposedLine[] {
  const own = columns.filter((column) => !NOT_OWN.test(words(column.name)))
  const patterns = subject === 'phone' ? [...PHONE, /^(number|value)$/] : PHONE
  const main = findColumn(own, TEXTS, patterns)
  const whatsapp = findColumn(own, TEXTS, [/^(whatsapp|wa)(_phone|_number|_id)*$/])
  const wish = findColumn(
    columns,
    ['boolean'],
    [/whatsapp.*(opt_in|consent|enabled|allowed)|(opt_in|accepts|allow).*whatsapp/],
  )
  const region = findColumn(own, ['text'], [/^(phone_)?country_(code|iso2?)$/, /^(phone_)?(country|region)$/])
  const lines: ProposedLine[] = []
  const add = (key: string, column: SurveyColumn, conditions: readonly SurveyColumn[]) => {
    if (supabase) {
      const name = inExpression(column.name)
      const value = `${name} == "" ? null : "+" + ${name}`
      const source = conditions.length === 0 ? { value } : { value, when: allSet(conditions) }
      lines.push(line(key, source, because('Supabase stores telephone numbers without their +', conditions)))
      return
    }
    const source = conditional(column, conditions, region && { region: { column: region.name } })
    const country = region ? `${region.name} is the country of national numbers` : 'without region: only +… is accepted'
    lines.push(line(key, source, because(`${column.name} holds a telephone number; ${country}`, conditions)))
  }
  if (main) {
    const proof = findColumn(
      columns,
      ['instant', 'boolean'],
      [
        /^(is_)?(phone|mobile)(_number)?_(confirmed|verified)(_at|_on)?$/,
        ...(subject === 'phone' ? [/^(is_)?(confirmed|verified)(_at|_on)?$/] : []),
      ],
    )
    const consent = findColumn(columns, ['boolean'], [/^sms_(opt_in|consent|enabled)$|^(accepts|allow)_sms$/])
    const conditions = [...primary(columns, subject), proof, consent].filter((it) => it !== null && canBeUnset(it))
    add(
      '$sms',
      main,
      conditions.flatMap((it) => it ?? []),
    )
  }
  const target = whatsapp ?? (wish ? main : null)
  if (target) add('$whatsapp', target, wish ? [wish] : [])
  const number = main ? null : findColumn(own, ['integer', 'number'], patterns)
  if (number) {
    const value = `"+" + string(${inExpression(number.name)})`
    lines.push(off('$sms', { value }, `${number.name} is a number: right only where it begins with the country's code`))
  }
  return lines
}

function push(
  table: SurveyTable,
  columns: readonly SurveyColumn[],
  { subject }: ChannelContext,
): readonly ProposedLine[] {
  const lines: ProposedLine[] = []
  const browser = findColumn(
    columns,
    ['json'],
    [/^(web_?)?push_subscriptions?$/, /^web_?push$/, ...(subject === 'device' ? [/^subscription$/] : [])],
  )
  if (browser) lines.push(line('$webpush', browser.name, `${browser.name} holds subscriptions of browsers`))
  const endpoint = findColumn(columns, ['text'], [/^endpoint$/])
  const [p256dh, auth] = [/^(keys?_)?p256dh(_key)?$/, /^(keys?_)?auth(_key|_secret)?$/].map((name) =>
    table.columns.find((column) => kindOf(column.type) === 'text' && name.test(words(column.name))),
  )
  if (endpoint && p256dh && auth) {
    const [at, key, secret] = [endpoint, p256dh, auth].map(({ name }) => inExpression(name))
    const value = `{"endpoint": ${at}, "keys": {"p256dh": ${key}, "auth": ${secret}}}`
    lines.push(line('$webpush', { value }, 'the parts of a browser subscription'))
  }
  const fcm = findColumn(columns, TEXTS, [/(^|_)(fcm|gcm|firebase|android)(_|$)/])
  const apns = findColumn(columns, TEXTS, [/(^|_)(apns?|ios|apple)(_|$)/])
  if (fcm && isPushToken(words(fcm.name)))
    lines.push(line('$androidpush', fcm.name, `${fcm.name} holds tokens of Firebase`))
  if (apns && isPushToken(words(apns.name)))
    lines.push(line('$iospush', apns.name, `${apns.name} holds tokens of Apple`))
  if (lines.some(({ key }) => key !== '$webpush')) return lines
  const token =
    findColumn(columns, TEXTS, [/(^|_)(push|device|registration)_(tokens?|ids?|key)$/]) ??
    (subject === 'device'
      ? (table.columns.find(({ name, type }) => /^tokens?$/.test(words(name)) && TEXTS.includes(kindOf(type))) ?? null)
      : null)
  if (token && !/(^|_)device_ids?$/.test(words(token.name))) lines.push(...byPlatform(token, columns))
  return lines
}

function byPlatform(token: SurveyColumn, columns: readonly SurveyColumn[]): readonly ProposedLine[] {
  const platform = findColumn(
    columns,
    ['text', 'enum'],
    [
      /^(device_)?(platform|os)$/,
      /^(device|push|token)_(os|type|platform|provider)$/,
      /^(type|kind|provider|service)$/,
    ],
  )
  if (!platform) {
    const why = `nothing tells which service ${token.name} belongs to`
    return [off('$androidpush', token.name, why), off('$iospush', token.name, why)]
  }
  const name = inExpression(platform.name)
  const known = platform.labels.length > 0
  return (['android', 'ios'] as const).map((which) => {
    const spelling = which === 'android' ? /^(android|fcm|gcm|firebase|google)$/i : /^(ios|apns?|apple|iphone)$/i
    const label = platform.labels.find((text) => spelling.test(text))
    const source = { column: token.name, when: `${name} == ${JSON.stringify(label ?? which)}` }
    const guess = label === undefined ? `how ${platform.name} spells it is a guess` : `${platform.name} may hold it`
    const key = which === 'android' ? '$androidpush' : '$iospush'
    return known && label === undefined ? off(key, source, guess) : line(key, source, guess)
  })
}

function slack(columns: readonly SurveyColumn[]): readonly ProposedLine[] {
  const access_token = { const: SLACK_BOT_TOKEN }
  const why = 'needs the token of your Slack app in SLACK_BOT_TOKEN'
  const email = findColumn(columns, ['text'], [/^slack_e_?mail$/])
  const member = findColumn(columns, ['text'], [/^slack_(user_|member_)?id$/, /^slack$/])
  const channel = findColumn(columns, ['text'], [/^slack_channel(_id)?$/])
  return [
    ...(email ? [off('$slack', { email: { column: email.name }, access_token }, why)] : []),
    ...(member ? [off('$slack', { user_id: { column: member.name }, access_token }, why)] : []),
    ...(channel ? [off('$slack', { channel_id: { column: channel.name }, access_token }, why)] : []),
  ]
}

/** Of several addresses of one user, in a table of addresses. */
function primary(columns: readonly SurveyColumn[], subject: ChannelContext['subject']): readonly SurveyColumn[] {
  const flag = subject === null ? null : findColumn(columns, ['boolean'], [/^(is_)?(primary|default|main)$/])
  return flag ? [flag] : []
}

function conditional(
  column: SurveyColumn,
  conditions: readonly SurveyColumn[],
  more: { readonly region: Written } | null = null,
): Written {
  if (conditions.length === 0 && more === null) return column.name
  return { column: column.name, ...more, ...(conditions.length > 0 && { when: allSet(conditions) }) }
}

function allSet(columns: readonly SurveyColumn[]): string {
  return columns.map(isSet).join(' && ')
}

function because(what: string, conditions: readonly SurveyColumn[]): string {
  return conditions.length === 0 ? what : `${what}; it counts by ${conditions.map(({ name }) => name).join(' and ')}`
}

function isOne(patterns: readonly RegExp[], column: SurveyColumn): boolean {
  return patterns.some((pattern) => pattern.test(words(column.name)))
}

function line(key: string, source: Written, why: string): ProposedLine {
  return { key, source, on: true, why }
}

function off(key: string, source: Written, why: string): ProposedLine {
  return { key, source, on: false, why }
}
