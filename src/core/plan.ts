// Decides what is sent for one user, from what SuprSend certainly holds (`synced`), what it may hold (`unclear`) and what
// it should hold (`desired`); DESIGN §7.3. Guarantees: carried out in order, the steps leave of ours exactly `desired`,
// whichever of the unclear targets were applied and whether POST appends or replaces (P2, P4); only set-like operations,
// so that repeating is harmless. Leaves to others: sending, and what an answer shows to be missing (compare.ts).
import type { ApiRequest } from './api.ts'
import type { OnDelete } from './mapping-spec.ts'
import { changeAfterPost, inBodies, minimalChange, operationsOf, postBody, wholeChange } from './operations.ts'
import { EMPTY_PROFILE, type Profile } from './profile.ts'

export interface PlanInput {
  readonly desired: Profile | null
  /** What SuprSend last certainly accepted; null = nothing. */
  readonly synced: Profile | null
  /** Targets whose outcome is not certain, oldest first; null = a DELETE. */
  readonly unclear: readonly (Profile | null)[]
  readonly onDelete: OnDelete
  /** `edit`: a PATCH before the POST, for users who may exist in SuprSend with values that others added. */
  readonly firstContact: 'upsert' | 'edit'
}

export type Plan =
  /** Nothing to send: record this and that nothing is unclear. */
  | { readonly kind: 'settled'; readonly synced: Profile | null }
  /** Send the steps in order, each after the one before was accepted; then record `syncedAfter`. */
  | { readonly kind: 'send'; readonly steps: readonly Step[]; readonly syncedAfter: Profile | null }

export interface Step {
  readonly request: ApiRequest
  readonly onMissing: OnMissing
}

/** What a 404 for this step means. */
export type OnMissing =
  /** The user is not there and need not be: the plan is done, record `synced: null` and that nothing is unclear. */
  | { readonly kind: 'done' }
  /** These steps take the place of this one and all after it; `syncedAfter` stays as it is. */
  | { readonly kind: 'instead'; readonly steps: readonly Step[] }
  /** The user vanished: plan again with `synced: null` and nothing unclear. */
  | { readonly kind: 'vanished' }

const DONE: OnMissing = { kind: 'done' }
const VANISHED: OnMissing = { kind: 'vanished' }

export function planUser(input: PlanInput): Plan {
  return input.desired === null ? planAbsence(input) : planPresence(input, input.desired)
}

function planPresence(input: PlanInput, desired: Profile): Plan {
  const { synced, unclear, firstContact } = input
  const held = heldProfiles(input)
  if (mayBeMissing(input)) {
    if (firstContact === 'upsert') return send(post(desired, held), desired)
    // A 404 tells that nothing is held: the POST is all there is to do.
    const create: OnMissing = { kind: 'instead', steps: post(desired, []) }
    return send(editOrLook(operationsOf(wholeChange(held, desired)), create), desired)
  }
  // Where an outcome is open the answer is compared with everything: of a bare user, who needs no operation, a GET's.
  const steps =
    unclear.length > 0
      ? editOrLook(operationsOf(wholeChange(held, desired)), VANISHED)
      : edit(operationsOf(minimalChange(synced ?? EMPTY_PROFILE, desired)), VANISHED)
  return steps.length === 0 ? { kind: 'settled', synced: desired } : send(steps, desired)
}

function planAbsence(input: PlanInput): Plan {
  const { synced, unclear, onDelete } = input
  switch (onDelete) {
    case 'delete':
      if (synced === null && unclear.length === 0) return { kind: 'settled', synced: null }
      return send([{ request: { kind: 'delete' }, onMissing: DONE }], null)
    case 'clear': {
      const operations = operationsOf(wholeChange(heldProfiles(input), EMPTY_PROFILE))
      if (operations.length === 0) return { kind: 'settled', synced: null }
      return send([...lookFirst(input), ...edit(operations, DONE)], null)
    }
    case 'keep': {
      // What is kept must be known for certain, or a value that was on its way could never be removed later (P4).
      const kept = unclear.findLast((target) => target !== null) ?? synced
      if (kept === null || unclear.length === 0) return { kind: 'settled', synced }
      const steps = editOrLook(operationsOf(wholeChange(heldProfiles(input), kept)), DONE)
      return send([...lookFirst(input), ...steps], kept)
    }
  }
}

const LOOK: ApiRequest = { kind: 'get' }

/** A PATCH may create a missing user, and nobody asked for one whose row is gone: look before it. */
function lookFirst(input: PlanInput): readonly Step[] {
  return mayBeMissing(input) ? [{ request: LOOK, onMissing: DONE }] : []
}

function mayBeMissing({ synced, unclear }: PlanInput): boolean {
  return synced === null || unclear.includes(null)
}

function heldProfiles({ synced, unclear }: PlanInput): readonly Profile[] {
  return [synced, ...unclear].filter((profile) => profile !== null)
}

function post(desired: Profile, held: readonly Profile[]): readonly Step[] {
  return [
    { request: { kind: 'upsert', body: postBody(desired) }, onMissing: VANISHED },
    ...edit(operationsOf(changeAfterPost(held, desired)), VANISHED),
  ]
}

function edit(operations: ReturnType<typeof operationsOf>, onMissing: OnMissing): readonly Step[] {
  return inBodies(operations).map((some) => ({ request: { kind: 'edit', operations: some }, onMissing }))
}

/** A PATCH needs an operation: for a bare user a GET asks the same question. */
function editOrLook(operations: ReturnType<typeof operationsOf>, onMissing: OnMissing): readonly Step[] {
  return operations.length === 0 ? [{ request: LOOK, onMissing }] : edit(operations, onMissing)
}

function send(steps: readonly Step[], syncedAfter: Profile | null): Plan {
  return { kind: 'send', steps, syncedAfter }
}
