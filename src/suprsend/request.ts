// Turns a request value into what goes over the wire: method, path, body (DESIGN §7.3). Owns the encoding of distinct_id.
import type { ApiRequest } from '../core/api.ts'
import { SuprsyncError } from '../core/error.ts'

export interface WireRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly body: string | null
}

/** @throws SuprsyncError `empty_user_id`: a DELETE of "no user" would address the collection itself. */
export function wireRequest(basePath: string, userId: string, request: ApiRequest): WireRequest {
  if (userId === '') throw new SuprsyncError('empty_user_id', 'a user without a distinct_id cannot be addressed')
  const path = `${basePath}/v1/user/${encodeUserId(userId)}/`
  switch (request.kind) {
    case 'upsert':
      return { method: 'POST', path, body: JSON.stringify(request.body) }
    case 'edit':
      return { method: 'PATCH', path, body: JSON.stringify({ operations: request.operations }) }
    case 'delete':
      return { method: 'DELETE', path, body: null }
    case 'get':
      return { method: 'GET', path, body: null }
  }
}

/**
 * Everything that could end or split a path segment is escaped. A segment of dots alone means "here" or "up" to whoever
 * normalises the path on the way (`/v1/user/../` is `/v1/`), so its dots are escaped too, which encodeURIComponent does not.
 */
function encodeUserId(userId: string): string {
  return /^\.{1,2}$/.test(userId) ? userId.replaceAll('.', '%2E') : encodeURIComponent(userId.toWellFormed())
}
