// Reads a request's body as JSON the way the API's server does: content type, size, exactly one document. Reads a body in
// full before it refuses it, so that the connection stays usable.
import type { IncomingMessage } from 'node:http'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'

export type BodyResult =
  | { readonly kind: 'ok'; readonly body: JsonObject }
  | { readonly kind: 'refused'; readonly status: number; readonly message: string }

/** Of every SuprSend endpoint, by its SDKs. */
export const MAX_BODY_BYTES = 800 * 1024

export function readJsonBody(
  request: IncomingMessage,
  limitBytes: number | null,
  done: (result: BodyResult) => void,
): void {
  const limit = Math.min(limitBytes ?? MAX_BODY_BYTES, MAX_BODY_BYTES)
  const chunks: Buffer[] = []
  let sizeBytes = 0
  request.on('data', (chunk: Buffer) => {
    sizeBytes += chunk.length
    // Beyond the limit what arrives is read and forgotten.
    if (sizeBytes <= limit) chunks.push(chunk)
  })
  request.on('end', () => {
    if (!isJsonType(request.headers['content-type'])) {
      done({ kind: 'refused', status: 415, message: 'Content-Type header is not application/json' })
    } else if (sizeBytes > limit) {
      done({ kind: 'refused', status: 413, message: `Request body must not be larger than ${limit} bytes` })
    } else {
      done(parseBody(Buffer.concat(chunks).toString()))
    }
  })
}

export function parseBody(text: string): BodyResult {
  if (text.trim() === '') return { kind: 'refused', status: 400, message: 'Request body must not be empty' }
  let body: Json
  try {
    body = JSON.parse(text)
  } catch {
    // A SyntaxError; the API says no more than this.
    return { kind: 'refused', status: 400, message: 'BAD REQUEST' }
  }
  if (isJsonObject(body)) return { kind: 'ok', body }
  return { kind: 'refused', status: 400, message: 'Request body must only contain a single JSON object' }
}

function isJsonType(header: string | undefined): boolean {
  return header !== undefined && /^application\/json\s*(?:;|$)/i.test(header)
}
