// Which JSON values may be stored and sent: no NUL and no lone surrogate in any text (jsonb stores neither, and a request
// would carry a different text than we compare), no nesting that could exhaust the stack.
import type { Json } from './json.ts'

/** Deep enough for any profile; canonical() and JSON.stringify recurse. */
const MAX_DEPTH = 32

export function isStorable(value: Json, depth = 0): boolean {
  if (typeof value === 'string') return value.isWellFormed() && !value.includes('\0')
  if (typeof value !== 'object' || value === null) return true
  if (depth >= MAX_DEPTH) return false
  if (Array.isArray(value)) return value.every((item) => isStorable(item, depth + 1))
  return Object.entries(value).every(([key, member]) => isStorable(key) && isStorable(member, depth + 1))
}

/** Whether arrays and objects stand in one another more than `depth` times. */
export function isDeeperThan(value: Json, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (depth <= 0) return true
  return Object.values(value).some((member) => isDeeperThan(member, depth - 1))
}

/** Whether the JSON text of a storable value has more bytes than `limit`. */
export function isLargerThan(value: Json, limit: number): boolean {
  // A UTF-16 unit takes at most six bytes in JSON (\u001f); most texts are decided by their length alone.
  if (typeof value === 'string' && value.length * 6 + 2 <= limit) return false
  if (typeof value !== 'object' && typeof value !== 'string') return false
  return value !== null && Buffer.byteLength(JSON.stringify(value)) > limit
}
