// From judged rows to what is written: the versions a row keeps, and which users its change touches. Pure; the one place
// where the stored version and the new one become one.
import type { RowWrite } from './capture-port.ts'
import { type Lsn, later, NO_LSN } from './lsn.ts'
import { profileOf } from './profile.ts'
import type { LiveChild, LiveRow } from './profile-merge.ts'
import type { Snapshot } from './snapshot.ts'
import { ABSENT, type PagedRow, type RowContent, rowId, type StoredRow, type StreamedRow } from './source-row.ts'

export interface UserTouch {
  readonly changeLsn: Lsn
  readonly firstChangedAt: number
  readonly lastChangedAt: number
}

export function streamedWrite(
  row: StreamedRow & { readonly content: RowContent },
  stored: StoredRow | undefined,
  era: number,
): RowWrite {
  const earlier = stored?.era === era ? stored.readSnapshot : null
  return {
    source: row.source,
    key: row.key,
    content: keepOwner(row.content, stored),
    version: { changeXid: row.xid, changeLsn: row.commitLsn, readSnapshot: row.readSnapshot ?? earlier },
  }
}

export function pagedWrite(
  row: PagedRow,
  stored: StoredRow | undefined,
  page: { readonly source: string; readonly snapshot: Snapshot; readonly era: number },
): RowWrite {
  const same = stored?.era === page.era ? stored : undefined
  return {
    source: page.source,
    key: row.key,
    content: keepOwner(row.content, stored),
    version: { changeXid: same?.changeXid ?? null, changeLsn: same?.changeLsn ?? null, readSnapshot: page.snapshot },
  }
}

/** A tombstone for a row that a whole reading did not show, as of its first page. */
export function sweptWrite(
  stored: StoredRow,
  from: { readonly source: string; readonly first: Snapshot; readonly era: number },
): RowWrite {
  const same = stored.era === from.era ? stored : undefined
  return {
    source: from.source,
    key: stored.key,
    content: keepOwner(ABSENT, stored),
    // No change of ours deleted it, but a tombstone without one would never be tidied away: it gets a transaction that was
    // over before the first page.
    version: {
      changeXid: same?.changeXid ?? from.first.xmin - 1n,
      changeLsn: same?.changeLsn ?? NO_LSN,
      readSnapshot: from.first,
    },
  }
}

/** A tombstone for a row that a TRUNCATE removed. */
export function truncatedWrite(
  stored: StoredRow,
  by: { readonly source: string; readonly xid: bigint; readonly lsn: Lsn; readonly era: number },
): RowWrite {
  const readSnapshot = stored.era === by.era ? stored.readSnapshot : null
  return {
    source: by.source,
    key: stored.key,
    content: keepOwner(ABSENT, stored),
    version: { changeXid: by.xid, changeLsn: by.lsn, readSnapshot },
  }
}

/**
 * A row whose content names nobody is whose it was. A tombstone remembers that, so that it is kept as long as that user's
 * outcome is open; a row whose distinct_id failed goes on speaking for the user it spoke for, if there is one.
 */
function keepOwner(content: RowContent, stored: StoredRow | undefined): RowContent {
  if (content.distinctId !== null || content.userKey !== null) return content
  const owner = { distinctId: stored?.distinctId ?? null, userKey: stored?.userKey ?? null }
  return content.part === null || stored?.live ? { ...content, ...owner } : { ...content, ...owner, part: null }
}

/**
 * The users that lose or gain these rows, each with the newest position and the times of its changes. A child row names a
 * users row: whose that is has to be looked up, and is told by `resolve`.
 */
export class TouchedUsers {
  readonly #users = new Map<string, UserTouch>()
  readonly #userRows = new Map<string, UserTouch>()

  add(stored: StoredRow | undefined, content: RowContent, touch: UserTouch): void {
    if (stored?.live) this.#touchOwner(stored, touch)
    if (content.part !== null) this.#touchOwner(content, touch)
  }

  /** Keys of the users rows whose children changed. */
  get userKeys(): readonly string[] {
    return [...this.#userRows.keys()]
  }

  /** @param ids of those rows that are live; of the others nobody's profile is made. */
  resolve(ids: ReadonlyMap<string, string>): void {
    for (const [userKey, touch] of this.#userRows) {
      const distinctId = ids.get(userKey)
      if (distinctId !== undefined) merge(this.#users, distinctId, touch)
    }
  }

  get ids(): readonly string[] {
    return [...this.#users.keys()]
  }

  of(distinctId: string): UserTouch {
    return this.#users.get(distinctId) ?? { changeLsn: NO_LSN, firstChangedAt: 0, lastChangedAt: 0 }
  }

  #touchOwner(
    { distinctId, userKey }: { readonly distinctId: string | null; readonly userKey: string | null },
    touch: UserTouch,
  ) {
    if (distinctId !== null) merge(this.#users, distinctId, touch)
    else if (userKey !== null) merge(this.#userRows, userKey, touch)
  }
}

function merge(touches: Map<string, UserTouch>, id: string, touch: UserTouch): void {
  const known = touches.get(id)
  touches.set(
    id,
    known
      ? {
          changeLsn: later(touch.changeLsn, known.changeLsn),
          firstChangedAt: Math.min(known.firstChangedAt, touch.firstChangedAt),
          lastChangedAt: Math.max(known.lastChangedAt, touch.lastChangedAt),
        }
      : touch,
  )
}

/** @param stored by rowId. */
export function liveRows(
  writes: readonly RowWrite[],
  stored: ReadonlyMap<string, StoredRow | null>,
): readonly LiveRow[] {
  return writes.flatMap(({ source, key, content }) =>
    content.part === null || content.distinctId === null
      ? []
      : [
          {
            key,
            distinctId: content.distinctId,
            part: content.part,
            reasons: content.reasons,
            duplicate: stored.get(rowId(source, key))?.duplicate ?? false,
          },
        ],
  )
}

/** The rows of child tables among these that contribute something. */
export function liveChildren(writes: readonly RowWrite[]): readonly LiveChild[] {
  return writes.flatMap(({ source, key, content, version }) =>
    content.part === null || content.userKey === null
      ? []
      : [
          {
            source,
            key,
            userKey: content.userKey,
            part: profileOf(content.part),
            reasons: content.reasons,
            changeLsn: version.changeLsn,
          },
        ],
  )
}
