// What can go wrong with the replication connection is heard once, with its code, by whoever opens it or takes from it.
import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { errorCode } from '../../src/core/error.ts'
import type { Lsn } from '../../src/core/lsn.ts'
import { connectionConfig } from '../../src/postgres/connection.ts'
import { isSlotInUse, ReplicationStream } from '../../src/postgres/stream.ts'
import { createTestDatabase } from '../support/database.ts'
import { describe, drained, Follower, openWhenFree, publish, terminateWalSender } from '../support/followed-table.ts'
import { until } from '../support/wait.ts'

const USERS = 'CREATE TABLE users (id int PRIMARY KEY, email text)'

test('terminated by an administrator: take throws it, and again', async () => {
  await using database = await createTestDatabase()
  const startLsn = await publish(database, USERS)
  await using follower = await Follower.open(database, await describe(database), { startLsn })
  await terminateWalSender(database)
  await expect(drained(follower)).resolves.toMatchObject({ code: '57P01' })
  await expect(follower.stream.take()).rejects.toMatchObject({ code: '57P01' })
  follower.stream.confirm((startLsn + 1n) as Lsn)
  follower.stream.destroy(new Error('too late to be the reason'))
  await expect(follower.stream.take()).rejects.toMatchObject({ code: '57P01' })
})

test('slot in use, slot dropped', async () => {
  await using database = await createTestDatabase()
  const startLsn = await publish(database, USERS)
  const table = await describe(database)
  {
    await using _holder = await Follower.open(database, table, { startLsn })
    const refused = await Follower.open(database, table, { startLsn }).catch((error: unknown) => error)
    expect(errorCode(refused)).toBe('55006')
    expect(isSlotInUse(refused)).toBe(true)
  }
  await until(() => database.query('SELECT pg_drop_replication_slot($1)', [database.slot]), {
    what: 'the slot to be dropped',
  })
  const refused = await Follower.open(database, table, { startLsn }).catch((error: unknown) => error)
  expect(errorCode(refused)).toBe('42704')
  expect(isSlotInUse(refused)).toBe(false)
})

test('no server, no such database, no privilege', async () => {
  await using database = await createTestDatabase()
  const startLsn = await publish(database, USERS)
  const tables = [await describe(database)]
  const role = await database.createRole()
  const open = (url: string) => {
    const options = {
      connection: connectionConfig(url),
      slot: database.slot,
      publication: 'followed',
      startLsn,
      tables,
    }
    return ReplicationStream.open(options, new AbortController().signal)
  }
  const elsewhere = new URL(database.url)
  elsewhere.pathname = '/no_such_database'
  await expect(open(elsewhere.href)).rejects.toMatchObject({ code: '3D000' })
  await expect(open(database.urlAs(role))).rejects.toMatchObject({ code: '42501' })
  elsewhere.port = '1'
  await expect(open(elsewhere.href)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

test('stopped while connecting to a server that does not answer', async () => {
  const silent = createServer(() => undefined).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const accepted = once(silent, 'connection')
  const address = silent.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const connection = connectionConfig(`postgres://user@127.0.0.1:${port}/db`)
  const stop = new AbortController()
  const opening = ReplicationStream.open(
    { connection, slot: 's', publication: 'p', startLsn: 1n as Lsn, tables: [] },
    stop.signal,
  )
  const outcome = opening.catch((error: unknown) => error)
  await accepted
  stop.abort()
  expect(errorCode(await outcome)).toBe('aborted')
  silent.close()
  await once(silent, 'close')
})

test('closed while take waits: take throws; closing twice is the same', async () => {
  await using database = await createTestDatabase()
  const startLsn = await publish(database, USERS)
  const follower = await Follower.open(database, await describe(database), { startLsn })
  const taking = drained(follower)
  await follower[Symbol.asyncDispose]()
  expect(errorCode(await taking)).toBe('stream_closed')
  await follower[Symbol.asyncDispose]()
  await using again = await openWhenFree(database, await describe(database), startLsn)
  expect(again.transactions).toEqual([])
})
