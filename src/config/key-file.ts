// A file that holds the API key: the key alone, or lines NAME=value as an environment file has them. Pure: its text in, the key
// or what is wrong out. No message holds anything of the text (P8).
import { Secret } from './secret.ts'

export const KEY_NAME = 'SUPRSEND_API_KEY'
/** Nothing that is meant is longer; a log or a disk image named by mistake is not read to its end. */
export const MOST_BYTES = 64 * 1024

export type KeyText =
  | { readonly kind: 'key'; readonly key: Secret }
  /** `line`: null where the whole file is meant. */
  | { readonly kind: 'problem'; readonly line: number | null; readonly message: string }

/** Printable ASCII only: anything else cannot stand in a header. */
export function isApiKey(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text)
}

interface Line {
  readonly number: number
  readonly text: string
  /** Null: it is no NAME=value. */
  readonly assigned: { readonly name: string; readonly value: string } | null
}

export function parseKeyFile(text: string): KeyText {
  if (Buffer.byteLength(text) > MOST_BYTES) return problem(null, `is larger than ${MOST_BYTES / 1024} KB`)
  const lines = linesOf(text)
  const [first, second] = lines
  if (first === undefined) return problem(null, text.trim() === '' ? 'is empty' : 'holds nothing but comments')
  if (second === undefined && first.assigned === null) return keyFrom(first.number, first.text)
  const stray = lines.find(({ assigned }) => assigned === null)
  if (stray !== undefined) {
    const message = `is neither the key alone in its file nor a line ${KEY_NAME}=value among others`
    return problem(stray.number, message)
  }
  // As in a shell the last one counts.
  const named = lines.findLast(({ assigned }) => assigned?.name === KEY_NAME)
  if (!named?.assigned) return problem(null, `has lines NAME=value, but none of ${KEY_NAME}`)
  return keyFrom(named.number, named.assigned.value)
}

function linesOf(text: string): readonly Line[] {
  return text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|[\r\n]/)
    .map((line, at) => ({ number: at + 1, text: line.trim() }))
    .filter(({ text: line }) => line !== '' && !line.startsWith('#'))
    .map((line) => ({ ...line, assigned: assignment(line.text) }))
}

function assignment(line: string): Line['assigned'] {
  const [, name, value] = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$/s.exec(line) ?? []
  if (name === undefined || value === undefined) return null
  // The end of a key in base64, `…==`, and no variable's name before it.
  const isPadding = /^=?$/.test(value) && (value === '=' || /[a-z]/.test(name))
  return isPadding && name !== KEY_NAME ? null : { name, value }
}

function keyFrom(line: number, written: string): KeyText {
  const value = unquoted(written)
  if (value === null) return problem(line, 'the quotes around the key are not closed')
  if (value === '') return problem(line, 'the key is empty')
  if (isApiKey(value)) return { kind: 'key', key: new Secret(value) }
  return problem(line, 'the key holds blanks, control characters or letters outside ASCII')
}

/** Without quotes and without a comment behind it; null: a quote that is not closed, or something behind the closed one. */
function unquoted(written: string): string | null {
  const quote = written.charAt(0)
  if (quote !== '"' && quote !== "'") return written.replace(/(?:^|\s+)#.*$/, '')
  const quoted =
    quote === '"' ? /^"((?:[^"\\]|\\.)*)"\s*(?:#.*)?$/.exec(written) : /^'([^']*)'\s*(?:#.*)?$/.exec(written)
  const inner = quoted?.[1]
  if (inner === undefined) return null
  return (quote === '"' ? inner.replace(/\\(["\\$`])/g, '$1') : inner).trim()
}

function problem(line: number | null, message: string): KeyText {
  return { kind: 'problem', line, message }
}
