// A request to SuprSend in a few words: what it removes, adds and sets. With values: the demo's people are invented and its
// reader sits at a terminal. Nothing else may print requests like that (P8).
import { isJsonObject, type Json } from '../core/json.ts'
import { isChannelKey } from '../core/profile.ts'
import type { Call } from './ledger.ts'

export type Tone = 'plain' | 'dim' | 'good' | 'bad' | 'gone' | 'new' | 'set'

/** Text of one tone; a line is a list of them. */
export interface Piece {
  readonly text: string
  readonly tone: Tone
}

/** Without the method. */
export function describeCall({ method, status, body }: Pick<Call, 'method' | 'status' | 'body'>): readonly Piece[] {
  if (status === 'dropped' || status >= 300) return [{ text: `answered ${status}`, tone: 'bad' }]
  if (!isJsonObject(body)) return []
  if (method === 'POST') return Object.entries(body).flatMap(([key, value]) => member('new', key, value))
  return Array.isArray(body.operations) ? body.operations.flatMap(operation) : []
}

function operation(value: Json): readonly Piece[] {
  if (!isJsonObject(value)) return []
  return Object.entries(value).flatMap(([operator, operand]) => {
    const members = isJsonObject(operand) ? Object.entries(operand) : []
    switch (operator) {
      case '$remove':
        return members.flatMap(([key, item]) => member('gone', key, item))
      case '$append':
        return members.flatMap(([key, item]) => member('new', key, item))
      case '$set':
        return members.flatMap(([key, item]) => member('set', key, item))
      case '$unset':
        return (Array.isArray(operand) ? operand : []).map((key): Piece => ({ text: `− ${key}`, tone: 'gone' }))
      default:
        return [{ text: operator, tone: 'plain' }]
    }
  })
}

const SIGNS = { gone: '−', new: '+', set: '=' } as const

function member(tone: keyof typeof SIGNS, key: string, value: Json): readonly Piece[] {
  const values = Array.isArray(value) ? value : [value]
  // A property says its name better than its value does; of an address the value is what matters.
  return values.map((item) => {
    const text = typeof item === 'string' ? item : JSON.stringify(item)
    return { text: isChannelKey(key) ? `${SIGNS[tone]} ${text}` : `${key}=${text}`, tone }
  })
}
