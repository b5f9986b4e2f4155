// What comes before an attempt of a user of whom much is unclear: SuprSend is asked what it holds, and what it does not show is
// forgotten. Guarantees that a list that cannot be cut grows no further: nothing is written before the answer. Sends one GET at most.
import { isTooMuch, narrowed } from '../core/unclear.ts'
import { type Means, NEVER_MADE, narrowedState, type State, type Stopped, vanishedState } from './attempt-state.ts'

export async function inquired(means: Means, state: State): Promise<State | Stopped> {
  if (!isTooMuch(state.known.unclear)) return state
  const request = { kind: 'get' } as const
  const outcome = await means.send(means.claim.distinctId, request)
  switch (outcome?.kind) {
    case 'missing':
      return vanishedState(means, state)
    case 'accepted': {
      const user = outcome.user === null ? null : means.box.sealUser(outcome.user)
      return user === null ? state : narrowedState(means, state, (unclear) => narrowed(unclear, user))
    }
    case 'rejected':
      // It does not tell; the user is sent all the same.
      return state
    default:
      return { ...NEVER_MADE, outcome: outcome ?? null, request }
  }
}
