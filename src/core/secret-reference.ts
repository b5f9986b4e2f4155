// A credential inside a profile: a reference with a fingerprint stands for its text wherever profiles are planned, compared
// and stored (DESIGN §4). Owns its shape, `{"$suprsync_secret": {"name": …, "fingerprint": …}}`; putting the texts into a
// request that is about to leave; and sealing, which turns SuprSend's own texts back into references. Guarantees: a
// request is whole or not sent at all. Who knows which texts is decided by the caller.
import type { ApiRequest, Operation, RemoteUser } from './api.ts'
import { digest, isJsonObject, type Json, type JsonObject } from './json.ts'
import { type ChannelKey, type ChannelValue, isChannelKey, type Profile } from './profile.ts'

const MARK = '$suprsync_secret'

/** The text of this fingerprint, if it is known. */
export type Plaintext = (fingerprint: string) => string | undefined

export interface SecretReference extends JsonObject {
  readonly [MARK]: JsonObject
}

export function secretReference(name: string, text: string): SecretReference {
  return { [MARK]: { name, fingerprint: digest(text) } }
}

export function isSecretReference(value: Json | undefined): value is SecretReference {
  return value !== undefined && partsOf(value) !== null
}

/** A text, or a reference that stands for one. */
export function isTextual(value: Json | undefined): value is string | SecretReference {
  return typeof value === 'string' || isSecretReference(value)
}

interface Parts {
  readonly name: string
  readonly fingerprint: string
}

function partsOf(value: Json): Parts | null {
  if (!isJsonObject(value)) return null
  const parts = value[MARK]
  if (!isJsonObject(parts) || Object.keys(value).length !== 1) return null
  const { name, fingerprint } = parts
  return typeof name === 'string' && typeof fingerprint === 'string' ? { name, fingerprint } : null
}

// ---- Resolving: references become texts, in a request that is about to be sent.

export type Resolved =
  /** `dropped`: removals of texts that nobody knows any more were left out; a GET when nothing else was in it. */
  | { readonly kind: 'resolved'; readonly request: ApiRequest; readonly dropped: boolean }
  /** It would write a text that is not known. */
  | { readonly kind: 'missing'; readonly name: string; readonly key: string | null }

export function resolveRequest(request: ApiRequest, plaintext: Plaintext): Resolved {
  const unknown: Unknown[] = []
  switch (request.kind) {
    case 'get':
    case 'delete':
      return { kind: 'resolved', request, dropped: false }
    case 'upsert': {
      const body = resolvedMembers(request.body, plaintext, unknown)
      return missing(unknown) ?? { kind: 'resolved', request: { kind: 'upsert', body }, dropped: false }
    }
    case 'edit': {
      const operations: Operation[] = []
      for (const operation of request.operations) {
        if ('$remove' in operation) {
          const unremovable: Unknown[] = []
          const $remove = resolvedMembers(operation.$remove, plaintext, unremovable)
          if (unremovable.length === 0) operations.push({ $remove })
        } else operations.push(resolvedOperation(operation, plaintext, unknown))
      }
      const dropped = operations.length < request.operations.length
      return missing(unknown) ?? { kind: 'resolved', request: editOrGet(operations), dropped }
    }
  }
}

interface Unknown {
  readonly name: string
  readonly key: string
}

function missing([first]: readonly Unknown[]): Resolved | null {
  return first === undefined ? null : { kind: 'missing', ...first }
}

/** A PATCH needs an operation; a GET asks what SuprSend holds all the same. */
function editOrGet(operations: readonly Operation[]): ApiRequest {
  return operations.length === 0 ? { kind: 'get' } : { kind: 'edit', operations }
}

function resolvedOperation(
  operation: Exclude<Operation, { readonly $remove: JsonObject }>,
  plaintext: Plaintext,
  unknown: Unknown[],
): Operation {
  if ('$append' in operation) return { $append: resolvedMembers(operation.$append, plaintext, unknown) }
  if ('$set' in operation) return { $set: resolvedMembers(operation.$set, plaintext, unknown) }
  return operation
}

function resolvedMembers(members: JsonObject, plaintext: Plaintext, unknown: Unknown[]): JsonObject {
  return replacedMembers(members, (value, key) => {
    const parts = partsOf(value)
    if (parts === null) return undefined
    const text = plaintext(parts.fingerprint)
    if (text === undefined) unknown.push({ name: parts.name, key })
    return text
  })
}

// ---- Sealing: texts become references.

/** Fingerprint → the reference that stands for it here, whatever the name it was given by. */
export type References = ReadonlyMap<string, JsonObject>

/** The references that occur in these profiles; of several names for one text the first. */
export function referencesIn(profiles: Iterable<Profile>): References {
  const found = new Map<string, JsonObject>()
  for (const { channels, properties } of profiles) {
    for (const value of [...Object.values(channels), properties]) {
      replaced(value, (part) => {
        const parts = partsOf(part)
        if (parts === null) return undefined
        if (!found.has(parts.fingerprint)) found.set(parts.fingerprint, { [MARK]: { ...parts } })
        return part
      })
    }
  }
  return found
}

/** The profile in which every text that has a reference, and every other name of it, is that reference. */
export function sealProfile(profile: Profile, references: References): Profile {
  const seal = sealer(references, () => undefined)
  const channels: { [key in ChannelKey]?: readonly ChannelValue[] } = {}
  for (const [key, values] of Object.entries(profile.channels)) {
    if (isChannelKey(key) && values !== undefined) channels[key] = values.map((value) => sealedValue(value, seal))
  }
  return { channels, properties: replacedMembers(profile.properties, seal) }
}

/** @param learn is told the text behind each reference that was put in. */
export function sealUser(
  user: RemoteUser,
  references: References,
  learn: (fingerprint: string, text: string) => void,
): RemoteUser {
  const seal = sealer(references, learn)
  const channels = Object.entries(user.channels).map(([key, values]) => [key, values.map((v) => replaced(v, seal))])
  return { channels: Object.fromEntries(channels), properties: replacedMembers(user.properties, seal) }
}

function sealer(references: References, learn: (fingerprint: string, text: string) => void): Replace {
  return (value) => {
    if (typeof value === 'string') {
      const fingerprint = digest(value)
      const reference = references.get(fingerprint)
      if (reference !== undefined) learn(fingerprint, value)
      return reference
    }
    const parts = partsOf(value)
    return parts === null ? undefined : references.get(parts.fingerprint)
  }
}

function sealedValue(value: ChannelValue, seal: Replace): ChannelValue {
  const sealed = replaced(value, seal)
  return typeof sealed === 'string' || isJsonObject(sealed) ? sealed : value
}

// ---- One walk for both.

/** What takes the place of a value; undefined: it stays, and its parts are looked at. */
type Replace = (value: Json) => Json | undefined

function replacedMembers(members: JsonObject, replace: (value: Json, key: string) => Json | undefined): JsonObject {
  return Object.fromEntries(
    Object.entries(members).map(([key, value]) => [key, replaced(value, (part) => replace(part, key))]),
  )
}

function replaced(value: Json, replace: Replace): Json {
  const other = replace(value)
  if (other !== undefined) return other
  if (typeof value !== 'object' || value === null) return value
  if (!isJsonObject(value)) return value.map((item) => replaced(item, replace))
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, replaced(part, replace)]))
}

/** Whether a row's own JSON holds what only a reference may: it would be taken for one. */
export function holdsSecretMark(value: Json): boolean {
  if (Array.isArray(value)) return value.some(holdsSecretMark)
  if (!isJsonObject(value)) return false
  return Object.hasOwn(value, MARK) || Object.values(value).some((member) => holdsSecretMark(member ?? null))
}

/** Of the text that the reference stands for. */
export function fingerprintOf(reference: SecretReference): string {
  return partsOf(reference)?.fingerprint ?? ''
}

/** The variables that the reference names, for people; null: it is none. */
export function referenceName(value: Json): string | null {
  return partsOf(value)?.name ?? null
}
