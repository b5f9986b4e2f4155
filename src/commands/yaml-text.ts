// YAML as a person would write it in a mapping file: plain where that is safe, quoted where not, short objects on one line.
// Names come from the catalogue and may hold anything: none can end a comment, a text or the line it stands in.
import type { Written } from '../core/proposal.ts'
import { SLACK_BOT_TOKEN } from '../core/proposal.ts'

/** Longer objects get a line for each member. */
const FLOW_WIDTH = 100

/** `key: value` at an indentation, with a comment behind the first line where it fits, else above. */
export function entry(
  key: string,
  value: Written,
  options: { readonly indent: number; readonly why?: string },
): string {
  const pad = ' '.repeat(options.indent)
  const [first = '', ...rest] = member(key, value)
  const why = options.why === undefined ? '' : comment(options.why)
  const beside = why === '' || `${pad}${first} ${why}`.length <= 120
  const head = beside ? [`${pad}${first}${why === '' ? '' : ` ${why}`}`] : [`${pad}${why}`, `${pad}${first}`]
  return [...head, ...rest.map((line) => pad + line)].join('\n')
}

/** The same, switched off: every line a comment that is right when its `# ` goes. */
export function entryOff(
  key: string,
  value: Written,
  options: { readonly indent: number; readonly why: string },
): string {
  const pad = ' '.repeat(options.indent)
  const written = entry(key, value, { indent: 0, why: options.why })
  return written
    .split('\n')
    .map((line) => `${pad}# ${line}`)
    .join('\n')
}

export function comment(text: string): string {
  return `# ${oneLine(text)}`
}

/** What could end a line or speak to the terminal is spelt out. */
export function oneLine(text: string): string {
  return text.replace(/\p{C}|\p{Zl}|\p{Zp}/gu, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`)
}

function member(key: string, value: Written): readonly string[] {
  const name = scalar(key, { literal: true })
  if (typeof value !== 'object') return [`${name}: ${scalar(value)}`]
  const oneLiner = `${name}: ${flow(value)}`
  if (oneLiner.length <= FLOW_WIDTH) return [oneLiner]
  const lines = isList(value)
    ? value.map((item) => `- ${flow(item)}`)
    : Object.entries(value).flatMap(([inner, item]) => member(inner, item))
  return [`${name}:`, ...lines.map((line) => `  ${line}`)]
}

function flow(value: Written): string {
  if (typeof value !== 'object') return scalar(value)
  if (isList(value)) return `[${value.map(flow).join(', ')}]`
  const members = Object.entries(value).map(([key, item]) => `${scalar(key, { literal: true })}: ${flow(item)}`)
  return `{ ${members.join(', ')} }`
}

/** Keys are not looked through for variables; in values `${` would begin one, and `$${` is a literal. */
export function scalar(value: string | number | boolean, { literal = false } = {}): string {
  if (typeof value !== 'string') return String(value)
  const text = literal || value === SLACK_BOT_TOKEN ? value : value.replaceAll('${', '$$${')
  // Conditions and names: letters to begin with, nothing after that YAML gives a meaning to in a flow.
  const plain = /^[$A-Za-z_][\w $=!<>&|.()+/-]*$/.test(text) && !/\s$|\s#|[=!<>&|]$/.test(text)
  if (plain && !WORDS.test(text)) return text
  if (!text.includes("'") && !/[\p{C}\p{Zl}\p{Zp}]/u.test(text)) return `'${text}'`
  return JSON.stringify(text).replace(
    /[\u007f-\u009f\u2028\u2029\ufeff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** Words that YAML, of this version or the last, does not read as texts. */
const WORDS = /^(true|false|null|yes|no|on|off|y|n|nan|inf)$/i

function isList(value: object): value is readonly Written[] {
  return Array.isArray(value)
}
