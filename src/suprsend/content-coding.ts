// Undoes the compression of a response body, for a gateway may compress although we ask it not to. Guarantees bounded memory
// (a few kilobytes can hold gigabytes) and never throws; of a body that was cut it gives what is there of it.
import { brotliDecompressSync, constants, unzipSync } from 'node:zlib'

export type Decoded =
  | { readonly kind: 'whole'; readonly bytes: Buffer }
  /** Larger than may be; its beginning, or nothing when even that is. */
  | { readonly kind: 'too_large'; readonly start: Buffer }
  /** Of no coding that is known here, or damaged. */
  | { readonly kind: 'unreadable' }

/** What becomes of so much is of bounded size nearly always; enough to tell what kind of document it is. */
const START_BYTES = 512

/** @param coding the Content-Encoding header, such as `gzip`. */
export function decodeContent(bytes: Buffer, coding: string, maxBytes: number): Decoded {
  const codings = coding
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && name !== 'identity')
  let decoded: Decoded = { kind: 'whole', bytes }
  for (const name of codings.toReversed()) {
    if (decoded.kind === 'whole') decoded = decodeOne(decoded.bytes, name, maxBytes)
  }
  return decoded
}

function decodeOne(bytes: Buffer, name: string, maxBytes: number): Decoded {
  const decode = DECODERS.get(name)
  if (decode === undefined) return { kind: 'unreadable' }
  if (bytes.length === 0) return { kind: 'whole', bytes }
  const whole = attempt(() => decode(bytes, maxBytes))
  if (whole !== 'too_large') return whole === null ? { kind: 'unreadable' } : { kind: 'whole', bytes: whole }
  const start = attempt(() => decode(bytes.subarray(0, START_BYTES), maxBytes))
  return { kind: 'too_large', start: Buffer.isBuffer(start) ? start : Buffer.alloc(0) }
}

function attempt(decode: () => Buffer): Buffer | 'too_large' | null {
  try {
    return decode()
  } catch (error) {
    // zlib's own word for "over maxOutputLength".
    return error instanceof RangeError && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE' ? 'too_large' : null
  }
}

type Decode = (bytes: Buffer, maxOutputLength: number) => Buffer

// With the flush of a stream that goes on, a body that was cut is no error.
const unzip: Decode = (bytes, maxOutputLength) =>
  unzipSync(bytes, { maxOutputLength, finishFlush: constants.Z_SYNC_FLUSH })
const unbrotli: Decode = (bytes, maxOutputLength) =>
  brotliDecompressSync(bytes, { maxOutputLength, finishFlush: constants.BROTLI_OPERATION_FLUSH })

const DECODERS: ReadonlyMap<string, Decode> = new Map([
  ['gzip', unzip],
  ['x-gzip', unzip],
  ['deflate', unzip],
  ['br', unbrotli],
])
