// The credentials of one user's attempt. Plans and comparisons see references alone; their texts are put in here, when a
// request leaves. Remembers, for this attempt only, the texts that SuprSend's answers tell: one that was rotated is gone
// from the environment, and only they still hold what is to be removed. Costs nothing where no profile has a reference.
import type { ApiRequest, RemoteUser } from '../core/api.ts'
import type { Profile } from '../core/profile.ts'
import {
  type References,
  type Resolved,
  referencesIn,
  resolveRequest,
  sealProfile,
  sealUser,
} from '../core/secret-reference.ts'

/** By fingerprint. A text shows itself only when it is asked for, never when it is printed. */
export type KnownSecrets = ReadonlyMap<string, { reveal(): string }>

export class AttemptSecrets {
  readonly #known: KnownSecrets
  readonly #references: References
  readonly #learned = new Map<string, string>()
  readonly #originals = new Map<Profile, Profile>()

  /** @param profiles every profile of the attempt, the one that is wanted first. */
  constructor(profiles: Iterable<Profile>, known: KnownSecrets) {
    this.#known = known
    this.#references = referencesIn(profiles)
  }

  /** The form in which profiles are planned and compared: one text, one reference. */
  seal(profile: Profile | null): Profile | null {
    if (profile === null || this.#references.size === 0) return profile
    const sealed = sealProfile(profile, this.#references)
    this.#originals.set(sealed, profile)
    return sealed
  }

  /** What `seal` was given: what is recorded. */
  original(sealed: Profile | null): Profile | null {
    return sealed === null ? null : (this.#originals.get(sealed) ?? sealed)
  }

  sealUser(user: RemoteUser): RemoteUser {
    if (this.#references.size === 0) return user
    return sealUser(user, this.#references, (fingerprint, text) => this.#learned.set(fingerprint, text))
  }

  resolve(request: ApiRequest): Resolved {
    if (this.#references.size === 0) return { kind: 'resolved', request, dropped: false }
    return resolveRequest(
      request,
      (fingerprint) => this.#learned.get(fingerprint) ?? this.#known.get(fingerprint)?.reveal(),
    )
  }
}
