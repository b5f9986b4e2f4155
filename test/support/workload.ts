// A mixed load on the users table, the same for the same seed (up to how its clients interleave): inserts, updates of
// mapped and unmapped columns, deletes, re-creations, rollbacks, savepoints, many rows in one transaction, two users who
// swap their phones, an e-mail set to NULL. Guarantees that a user's committed versions only grow, over deletion too:
// versions come from one sequence, and only one client creates and deletes a given user.
import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { isLostConnection } from '../../src/postgres/connection-failure.ts'
import type { TestDatabase } from './database.ts'

/** The name that only changes bear which are never committed. */
export const ROLLED_BACK = 'rolled back'

export interface WorkloadOptions {
  readonly database: TestDatabase
  readonly seed: number
  /** Ids are 1 to this. Default 120. */
  readonly users?: number
  /** Default 3. */
  readonly clients?: number
  /** Of each client between two of its transactions. Default 4. */
  readonly pauseMs?: number
  /** How many neighbours one transaction changes at the most. Default 16. */
  readonly manyRows?: number
  /** Users get other ids, too. */
  readonly movesKeys?: boolean
  /** A client that loses its connection takes another, as an application does. Else stop() throws. */
  readonly reconnects?: boolean
}

export interface Workload extends AsyncDisposable {
  readonly seed: number
  readonly ids: readonly string[]
  /** Committed and rolled back. */
  readonly transactions: number
  /** Ends every client after its transaction; throws what a client met. */
  stop(): Promise<void>
}

/** A deadlock between two clients: the application's ordinary life. */
const DEADLOCK = '40P01'
const RECONNECT_MS = 100

export async function createUsersTable(database: TestDatabase): Promise<void> {
  await database.query('CREATE SEQUENCE user_version')
  await database.query(`
    CREATE TABLE users (
      id bigint PRIMARY KEY, email text, phone text, name text, note text,
      version bigint NOT NULL DEFAULT nextval('user_version'))`)
}

/** Users 1 to `count`, in one statement. */
export async function insertUsers(database: TestDatabase, count: number): Promise<void> {
  await database.query(
    `INSERT INTO users (id, email, phone, name)
     SELECT n, 'u' || n || '@example.com', '+9198' || lpad(n::text, 8, '7'), 'User ' || n FROM generate_series(1, $1::int) n`,
    [count],
  )
}

export function startWorkload(options: WorkloadOptions): Workload {
  const { database, seed, users = 120, clients = 3, pauseMs = 4, reconnects = false } = options
  const { manyRows = 16, movesKeys = false } = options
  const stopping = new AbortController()
  let transactions = 0
  const runs = Array.from({ length: clients }, async (_, number) => {
    const random = seededRandom(seed * 31 + number)
    const client = new LoadClient(random, { users, number, clients, manyRows, movesKeys })
    const transact = async () => {
      await using connection = await connect(database.pool)
      while (!stopping.signal.aborted) {
        await client.transact(connection.client)
        transactions += 1
        await delay(pauseMs * 2 * random())
      }
    }
    while (!stopping.signal.aborted) {
      try {
        await transact()
      } catch (error) {
        if (!reconnects || !isLostConnection(error)) throw error
        await delay(RECONNECT_MS)
      }
    }
  })
  const ended = Promise.all(runs)
  ended.catch(() => stopping.abort()) // thrown by stop()
  const stop = async () => {
    stopping.abort()
    await ended
  }
  return {
    seed,
    ids: Array.from({ length: users }, (_, index) => String(index + 1)),
    get transactions() {
      return transactions
    },
    stop,
    [Symbol.asyncDispose]: async () => {
      stopping.abort()
      await Promise.allSettled(runs)
    },
  }
}

interface Place {
  readonly users: number
  /** Of this client. */
  readonly number: number
  readonly clients: number
  readonly manyRows: number
  readonly movesKeys: boolean
}

class LoadClient {
  readonly #random: () => number
  readonly #place: Place
  #client: pg.PoolClient | null = null
  #counter = 0

  constructor(random: () => number, place: Place) {
    this.#random = random
    this.#place = place
  }

  async transact(client: pg.PoolClient): Promise<void> {
    this.#client = client
    const kinds = [
      () => this.#insert(),
      () => this.#insert(),
      () => this.#insert(),
      () => this.#update(this.#anyId()),
      () => this.#update(this.#anyId()),
      () => this.#update(this.#anyId()),
      () => this.#update(this.#anyId()),
      () => this.#touchUnmapped(),
      () => this.#clearEmail(),
      () => this.#delete(),
      () => this.#within('COMMIT', () => this.#recreate()),
      () => this.#within('COMMIT', () => this.#savepoint()),
      () => this.#within('COMMIT', () => this.#updateMany()),
      () => this.#within('ROLLBACK', () => this.#undone()),
      () => this.#swapPhones(),
      ...(this.#place.movesKeys ? [() => this.#moveKey()] : []),
    ]
    try {
      await kinds[Math.floor(this.#random() * kinds.length)]?.()
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === DEADLOCK)) throw error
      await this.#query('ROLLBACK')
    }
  }

  async #within(end: 'COMMIT' | 'ROLLBACK', work: () => Promise<void>): Promise<void> {
    await this.#query('BEGIN')
    await work()
    await this.#query(end)
  }

  async #insert(): Promise<void> {
    const id = this.#ownId()
    await this.#query('INSERT INTO users (id, email, phone, name) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING', [
      id,
      this.#email(id),
      this.#phone(),
      this.#name(),
    ])
  }

  async #update(id: number): Promise<void> {
    const changes = [
      ['email', this.#email(id)],
      ['phone', this.#phone()],
      ['name', this.#name()],
    ] as const
    const [column, value] = changes[Math.floor(this.#random() * changes.length)] ?? changes[0]
    await this.#query(`UPDATE users SET ${column} = $2, version = nextval('user_version') WHERE id = $1`, [id, value])
  }

  async #touchUnmapped(): Promise<void> {
    await this.#query('UPDATE users SET note = $2 WHERE id = $1', [this.#anyId(), this.#name()])
  }

  async #clearEmail(): Promise<void> {
    await this.#query("UPDATE users SET email = NULL, version = nextval('user_version') WHERE id = $1", [this.#anyId()])
  }

  async #delete(): Promise<void> {
    await this.#query('DELETE FROM users WHERE id = $1', [this.#ownId()])
  }

  async #recreate(): Promise<void> {
    const id = this.#ownId()
    await this.#query('DELETE FROM users WHERE id = $1', [id])
    await this.#query('INSERT INTO users (id, email, name) VALUES ($1, $2, $3)', [id, this.#email(id), this.#name()])
  }

  async #savepoint(): Promise<void> {
    await this.#update(this.#anyId())
    await this.#query('SAVEPOINT undone')
    await this.#undone()
    await this.#query('ROLLBACK TO SAVEPOINT undone')
    await this.#update(this.#anyId())
  }

  async #undone(): Promise<void> {
    await this.#query("UPDATE users SET name = $2, email = NULL, version = nextval('user_version') WHERE id = $1", [
      this.#anyId(),
      ROLLED_BACK,
    ])
    await this.#query('DELETE FROM users WHERE id = $1', [this.#ownId()])
  }

  async #updateMany(): Promise<void> {
    const first = this.#anyId()
    await this.#query("UPDATE users SET name = $3, version = nextval('user_version') WHERE id BETWEEN $1 AND $2", [
      first,
      first + this.#place.manyRows - 1,
      this.#name(),
    ])
    await this.#update(this.#anyId())
  }

  async #swapPhones(): Promise<void> {
    await this.#query(
      `UPDATE users u SET phone = o.phone, version = nextval('user_version') FROM users o
       WHERE (u.id, o.id) IN (($1::bigint, $2::bigint), ($2::bigint, $1::bigint))`,
      [this.#anyId(), this.#anyId()],
    )
  }

  /** A user under another id of this client's, if that one is free: for SuprSend one goes and another comes. */
  async #moveKey(): Promise<void> {
    await this.#query(
      `UPDATE users SET id = $2, version = nextval('user_version') WHERE id = $1 AND NOT EXISTS (SELECT FROM users WHERE id = $2)`,
      [this.#ownId(), this.#ownId()],
    )
  }

  async #query(text: string, values: readonly unknown[] = []): Promise<void> {
    await this.#client?.query(text, [...values])
  }

  #anyId(): number {
    return 1 + Math.floor(this.#random() * this.#place.users)
  }

  /** Of the users that only this client creates and deletes. */
  #ownId(): number {
    const { users, clients, number } = this.#place
    return 1 + number + clients * Math.floor((this.#random() * (users - number)) / clients)
  }

  #email(id: number): string {
    this.#counter += 1
    return `u${id}-${this.#place.number}-${this.#counter}@example.com`
  }

  #phone(): string {
    return `+9198${String(Math.floor(this.#random() * 1e8)).padStart(8, '7')}`
  }

  #name(): string {
    return `Name ${Math.floor(this.#random() * 1e6)}`
  }
}

async function connect(pool: pg.Pool): Promise<AsyncDisposable & { readonly client: pg.PoolClient }> {
  const client = await pool.connect()
  return {
    client,
    // Ended rather than given back: it may be within a transaction.
    [Symbol.asyncDispose]: async () => client.release(true),
  }
}

/** mulberry32: 0 ≤ x < 1, the same sequence for the same seed. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
