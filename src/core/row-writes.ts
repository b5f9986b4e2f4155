// From judged rows to what is written: the versions a row keeps, and which users its change touches. Pure; the one place
// where the stored version and the new one become one.
import type { RowWrite } from './capture-port.ts'
import { type Lsn, NO_LSN } from './lsn.ts'
import type { LiveRow } from './profile-merge.ts'
import type { Snapshot } from './snapshot.ts'
import type { PagedRow, RowContent, StoredRow, StreamedRow } from './source-row.ts'

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
    key: row.key,
    content: keepId(row.content, stored),
    version: { changeXid: row.xid, changeLsn: row.commitLsn, readSnapshot: row.readSnapshot ?? earlier },
  }
}

export function pagedWrite(
  row: PagedRow,
  stored: StoredRow | undefined,
  page: { snapshot: Snapshot; era: number },
): RowWrite {
  const same = stored?.era === page.era ? stored : undefined
  return {
    key: row.key,
    content: keepId(row.content, stored),
    version: { changeXid: same?.changeXid ?? null, changeLsn: same?.changeLsn ?? null, readSnapshot: page.snapshot },
  }
}

/** A tombstone remembers whose row it was, so that it is kept as long as that user's outcome is open. */
function keepId(content: RowContent, stored: StoredRow | undefined): RowContent {
  if (content.part !== null || content.distinctId !== null) return content
  return { ...content, distinctId: stored?.distinctId ?? null }
}

/** The users that lose or gain these rows, each with the newest position and the times of its changes. */
export class TouchedUsers {
  readonly #users = new Map<string, UserTouch>()

  add(stored: StoredRow | undefined, content: RowContent, touch: UserTouch): void {
    if (stored?.live && stored.distinctId !== null) this.#touch(stored.distinctId, touch)
    if (content.part !== null && content.distinctId !== null) this.#touch(content.distinctId, touch)
  }

  get ids(): readonly string[] {
    return [...this.#users.keys()]
  }

  of(distinctId: string): UserTouch {
    return this.#users.get(distinctId) ?? { changeLsn: NO_LSN, firstChangedAt: 0, lastChangedAt: 0 }
  }

  #touch(distinctId: string, touch: UserTouch): void {
    const known = this.#users.get(distinctId)
    this.#users.set(
      distinctId,
      known
        ? {
            changeLsn: later(touch.changeLsn, known.changeLsn),
            firstChangedAt: Math.min(known.firstChangedAt, touch.firstChangedAt),
            lastChangedAt: Math.max(known.lastChangedAt, touch.lastChangedAt),
          }
        : touch,
    )
  }
}

function later(a: Lsn, b: Lsn): Lsn {
  if (a > b) return a
  return b
}

export function liveRows(
  writes: readonly RowWrite[],
  stored: ReadonlyMap<string, StoredRow | null>,
): readonly LiveRow[] {
  return writes.flatMap(({ key, content }) =>
    content.part === null || content.distinctId === null
      ? []
      : [
          {
            key,
            distinctId: content.distinctId,
            part: content.part,
            reasons: content.reasons,
            duplicate: stored.get(key)?.duplicate ?? false,
          },
        ],
  )
}
