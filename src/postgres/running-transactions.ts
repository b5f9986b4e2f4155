// The server lets go of WAL only up to a list of running transactions that was confirmed past, and writes one every 15 s and at
// each checkpoint. Where that is too seldom it is made to write one. The function for it (PostgreSQL 16) is for superusers; whoever
// may replicate has one written by making a logical slot: a temporary one, which goes with its session.
import type pg from 'pg'
import { errorCode } from '../core/error.ts'
import { openClient } from './connection.ts'

/** The slot waits for older transactions of the application to end; the list is written before. */
const TIMEOUT_MS = 1_000
const QUERY_CANCELED = '57014'

/** @param slot name of the temporary one, at most 63 characters. */
export async function logRunningTransactions(connection: pg.ClientConfig, slot: string): Promise<void> {
  const client = await openClient({ ...connection, statement_timeout: TIMEOUT_MS })
  try {
    await client.query("SELECT pg_catalog.pg_create_logical_replication_slot($1, 'pgoutput', true)", [slot])
  } catch (error) {
    if (errorCode(error) !== QUERY_CANCELED) throw error
  } finally {
    await client.end()
  }
}
