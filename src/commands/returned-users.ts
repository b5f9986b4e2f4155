// Users who came back after they had been erased, while child rows of theirs were left in the application's tables: the state forgot
// those (state/erase-store.ts), and the stream brings none that does not change. They are read again, as `backfill --user` would.
import type { Config } from '../config/config.ts'
import { errorCode } from '../core/error.ts'
import type { Logger } from '../core/logger.ts'
import { requestBackfill } from '../state/backfill-request.ts'
import type { StateDatabase } from '../state/database.ts'
import { forgetReturned, readReturned } from '../state/erase-store.ts'
import { requestedTables } from './backfill-filter.ts'

/** Notes the readings. Never rejects: what fails is tried again by the next call. */
export async function readReturnedUsers(db: StateDatabase, config: Config, log: Logger): Promise<void> {
  try {
    for (const distinctId of await readReturned(db)) {
      const tables = await requestedTables(config, db, { user: distinctId }).catch(unlessGone)
      if (tables !== null) {
        await requestBackfill(db, tables)
        log.info({ distinct_id: distinctId }, 'a user who was erased came back; the child rows are read again')
      }
      await forgetReturned(db, distinctId, { read: tables !== null })
    }
  } catch (error) {
    log.warn({ err: error }, 'child rows of users who came back cannot be read yet; trying again')
  }
}

function unlessGone(error: unknown): null {
  if (errorCode(error) === 'user_unknown') return null
  throw error
}
