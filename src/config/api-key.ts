// Where the API key comes from: `suprsend.api_key`, or the file that `suprsend.api_key_file` names, never both. Reads that file, by
// the reader it is given, and says what is wrong with it without a word of what it holds; key-file.ts knows its form.
import { dirname, resolve } from 'node:path'
import { errorCode } from '../core/error.ts'
import type { Report } from './issues.ts'
import { isApiKey, MOST_BYTES, parseKeyFile } from './key-file.ts'
import { isRecord } from './record.ts'
import { readText } from './scalar.ts'
import { Secret } from './secret.ts'

/** @param maxBytes of a longer file more than so many are enough; by default all. */
export type ReadFile = (path: string, maxBytes?: number) => Promise<string>

export interface ApiKey {
  readonly key: Secret
  /** Absolute; null: it stands in the configuration itself. */
  readonly file: string | null
}

export function parseApiKey(input: unknown): Secret | null {
  const key = readText(input)
  return key !== null && isApiKey(key) ? new Secret(key) : null
}

/**
 * The key that a document means; null where there is none, which is reported here or by the schema.
 * @param document the whole of it, with its variables replaced.
 */
export async function readApiKey(
  document: { readonly [key: string]: unknown },
  {
    report,
    readFile,
    mappingFile,
  }: { readonly report: Report; readonly readFile: ReadFile; readonly mappingFile: string },
): Promise<ApiKey | null> {
  const { suprsend } = document
  if (!isRecord(suprsend)) return null
  const [own, named] = [suprsend.api_key, suprsend.api_key_file]
  if (named === undefined) {
    if (own === undefined) report(['suprsend', 'api_key'], 'is missing: expected an API key, or api_key_file')
    const key = parseApiKey(own)
    return key === null ? null : { key, file: null }
  }
  if (own !== undefined) {
    report(['suprsend', 'api_key_file'], 'api_key is given as well; needs exactly one of the two', 'key')
    return null
  }
  const written = readText(named)
  if (written === null) return null
  const file = resolve(dirname(mappingFile), written)
  const read = await readKeyFile(file, readFile)
  if (read.kind === 'key') return { key: read.key, file }
  report(['suprsend', 'api_key_file'], read.message)
  return null
}

export type KeyReading =
  | { readonly kind: 'key'; readonly key: Secret }
  | { readonly kind: 'problem'; readonly message: string }

/** Never rejects. */
export async function readKeyFile(file: string, readFile: ReadFile): Promise<KeyReading> {
  let text: string
  try {
    text = await readFile(file, MOST_BYTES)
  } catch (error) {
    return { kind: 'problem', message: whyUnread(file, error) }
  }
  const parsed = parseKeyFile(text)
  if (parsed.kind === 'key') return parsed
  const place = parsed.line === null ? file : `${file}:${parsed.line}:`
  return { kind: 'problem', message: `${place} ${parsed.message}` }
}

/** A path is printed only where something is there: one that leads nowhere may be the key itself, written in the wrong place. */
function whyUnread(file: string, error: unknown): string {
  const code = errorCode(error)
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'there is no such file (a relative path begins at the folder of the mapping file)'
    case 'EISDIR':
      return `${file} is a directory; expected a file that holds the key (Docker makes one where what it mounts is missing)`
    case 'EACCES':
    case 'EPERM':
      return `${file} may not be read by this process (${code})`
    case 'not_a_file':
      return `${file} is no regular file`
    default:
      return `the file cannot be read (${code ?? 'no code'})`
  }
}
