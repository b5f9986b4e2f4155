// Removes what nothing needs any more: profiles of users that are gone and settled, and tombstones that no page, no replay
// and no open outcome can ask for (DESIGN §6). In bounded bites; an idle database is not written to.
import { sql } from 'kysely'
import type pg from 'pg'
import type { StateDatabase } from './database.ts'

const BITE = 5_000

/** Tombstones from before `at` (the state's clock) were made by readings of the source that saw nothing beyond `lsn`. */
interface Mark {
  readonly era: number
  readonly at: string
  readonly lsn: string
}

export class Tidy {
  readonly #db: StateDatabase
  readonly #source: Pick<pg.Pool, 'query'>
  #mark: Mark | null = null

  /** @param source where the rows come from: its snapshot tells which transactions are over. */
  constructor(db: StateDatabase, source: Pick<pg.Pool, 'query'>) {
    this.#db = db
    this.#source = source
  }

  /** One bite. A tombstone goes at the second run after it was made, at the earliest. */
  async run(): Promise<void> {
    const { rows } = await sql<{
      profiles: boolean
      tombstones: boolean
      erased: boolean
      era: number | null
      now: string
    }>`
      select exists (select from profile where gone and synced is null and not parked) as profiles,
        exists (select from source_row where gone_at is not null) as tombstones, exists (select from erased) as erased,
        (select era from checkpoint) as era, clock_timestamp()::text as now`.execute(this.#db)
    const found = rows[0]
    if (found?.profiles) await this.#removeProfiles()
    if (found?.erased) await this.#forgetErased()
    if (found?.tombstones && found.era !== null) await this.#removeTombstones(found.era, found.now)
  }

  /** The stream has passed what it was noted for; or another history has begun, for which every table is read again. */
  async #forgetErased(): Promise<void> {
    await sql`delete from erased e using checkpoint c where (e.lsn < c.lsn and not e.left_behind) or e.era <> c.era`.execute(
      this.#db,
    )
  }

  async #removeProfiles(): Promise<void> {
    await sql`
      delete from profile where distinct_id in (
        select distinct_id from profile
        where gone and synced is null and not parked and sending = '[]' and due_at is null and failure is null
        order by distinct_id limit ${BITE} for update skip locked)`.execute(this.#db)
  }

  /**
   * A reading may have found a row gone long before the stream comes to its delete; the changes in between, which the
   * tombstone refuses, must have been streamed before it goes. The insert position: a commit is seen before it is written.
   * One of a former era refuses nothing any more.
   */
  async #removeTombstones(era: number, now: string): Promise<void> {
    const { rows } = await this.#source.query<{ xmin: string; lsn: string }>(
      'select pg_snapshot_xmin(pg_current_snapshot())::text as xmin, pg_current_wal_insert_lsn()::text as lsn',
    )
    const source = rows[0]
    if (source === undefined) return
    const next = { era, at: now, lsn: source.lsn }
    const mark = this.#mark?.era === era ? this.#mark : null // another era counts its LSNs anew
    this.#mark = mark ?? next
    if (mark === null || !(await this.#isPassed(mark))) return
    this.#mark = next
    await sql`
      delete from source_row where (source, key) in (
        select r.source, r.key from source_row r
        where r.gone_at < ${mark.at}::timestamptz
          and (r.era <> ${mark.era}
            or (r.change_lsn < (select lsn from checkpoint) and r.change_xid < ${source.xmin}::xid8))
          and not exists (select from backfill where finished_at is null)
          and not exists (select from profile p where p.distinct_id = r.distinct_id and p.sending <> '[]')
        order by r.gone_at limit ${BITE} for update skip locked)`.execute(this.#db)
  }

  async #isPassed({ era, lsn }: Mark): Promise<boolean> {
    const { rows } = await sql`select from checkpoint where era = ${era} and lsn >= ${lsn}::pg_lsn`.execute(this.#db)
    return rows.length > 0
  }
}
