// The application of the demo: a users table and the statements that a web application would run on it. Knows nothing of
// suprsync, and nothing is in its code for suprsync's sake. Owns its database's schema and remembers who lives in it.
import type pg from 'pg'
import type { TextRow } from '../core/row.ts'
import { type Chance, type Edit, newEdit, newPerson, type Person, pick, shortName } from './people.ts'

export const SCHEMA = `
CREATE TABLE users (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name         text NOT NULL,
  email        text UNIQUE,
  phone        text,
  country      text,
  timezone     text,
  locale       text,
  plan         text NOT NULL DEFAULT 'free',
  last_seen_at timestamptz,
  deleted_at   timestamptz
)`

/** A committed change of one row. */
export interface RowChange {
  readonly kind: 'insert' | 'update' | 'delete'
  readonly id: string
  readonly name: string
  readonly detail: string
  /** When the statement ended, just before its commit, by the server's clock; with fractions. */
  readonly committedAtMs: number
  /** The columns asked for, as the server's text, after the change; null when the row is gone. */
  readonly row: TextRow | null
}

/** The server's own text, as the mapping reads it. */
const RAW = { getTypeParser: () => (text: string) => text }
const CLOCK = 'extract(epoch FROM clock_timestamp()) * 1000'

export class Application {
  readonly #pool: pg.Pool
  readonly #chance: Chance
  readonly #columns: readonly string[]
  readonly #people = new Map<string, Person>()

  /** `columns`: those that every change and `rows` report, in this order. */
  constructor(pool: pg.Pool, options: { readonly chance: Chance; readonly columns: readonly string[] }) {
    this.#pool = pool
    this.#chance = options.chance
    this.#columns = options.columns
  }

  get people(): number {
    return this.#people.size
  }

  /** What the next one is depends on chance: mostly edits, some who join, some who leave. */
  async changeSomething(): Promise<RowChange> {
    const kind = this.#chance.random()
    if (this.#people.size < 5 || kind < 0.13) return await this.add()
    return kind < 0.25 ? await this.remove() : await this.edit()
  }

  async add(): Promise<RowChange> {
    const person = newPerson(this.#chance)
    const set = Object.entries(person)
    const sql = `INSERT INTO users (${set.map(([name]) => name).join(', ')}) VALUES (${set.map((_, at) => `$${at + 1}`).join(', ')})`
    const done = await this.#write(sql, Object.values(person))
    this.#people.set(done.id, person)
    return { kind: 'insert', name: shortName(person), detail: person.email, ...done }
  }

  async edit(): Promise<RowChange> {
    const [id, person] = this.#somebody()
    const edit = newEdit(person, this.#chance)
    const done = await this.#write(...updateOf(id, edit))
    this.#people.set(id, { ...person, ...edit.set })
    return { kind: 'update', name: shortName(person), detail: edit.detail, ...done }
  }

  /** Half of the time the row goes, half of the time it is only marked: `user.when` makes both the same to SuprSend. */
  async remove(): Promise<RowChange> {
    const [id, person] = this.#somebody()
    const name = shortName(person)
    this.#people.delete(id)
    if (this.#chance.random() < 0.5) {
      const done = await this.#write('DELETE FROM users WHERE id = $1', [id])
      return { kind: 'delete', name, detail: '', ...done, row: null }
    }
    const done = await this.#write('UPDATE users SET deleted_at = now() WHERE id = $1', [id])
    return { kind: 'update', name, detail: 'deleted_at → now()', ...done }
  }

  /** An edit that the application takes back. */
  async editAndRollBack(): Promise<Pick<RowChange, 'name' | 'detail'>> {
    const [id, person] = this.#somebody()
    const edit = newEdit(person, this.#chance)
    const client = await this.#pool.connect()
    try {
      await client.query('BEGIN')
      await client.query(...updateOf(id, edit))
      await client.query('ROLLBACK')
    } finally {
      client.release()
    }
    return { name: shortName(person), detail: edit.detail }
  }

  /** What every application does all day: everybody was seen. One UPDATE of an unmapped column; returns how many rows. */
  async touchEverybody(): Promise<number> {
    const { rowCount } = await this.#pool.query('UPDATE users SET last_seen_at = now()')
    return rowCount ?? 0
  }

  /** Every row of the table. */
  async rows(): Promise<readonly TextRow[]> {
    const text = `SELECT ${this.#columnList()} FROM users ORDER BY id`
    return (await this.#pool.query<(string | null)[]>({ text, rowMode: 'array', types: RAW })).rows
  }

  async #write(sql: string, values: readonly unknown[]): Promise<Pick<RowChange, 'id' | 'committedAtMs' | 'row'>> {
    const text = `${sql} RETURNING id, ${CLOCK}, ${this.#columnList()}`
    const { rows } = await this.#pool.query<(string | null)[]>({
      text,
      values: [...values],
      rowMode: 'array',
      types: RAW,
    })
    const [id = null, clock = null, ...row] = rows[0] ?? []
    if (id === null) throw new Error('a row of the demo is gone: somebody else writes to its table')
    return { id, committedAtMs: Number(clock), row }
  }

  #somebody(): readonly [string, Person] {
    return pick(this.#chance, [...this.#people])
  }

  #columnList(): string {
    return this.#columns.map((name) => `"${name}"`).join(', ')
  }
}

function updateOf(id: string, { set }: Edit): [sql: string, values: unknown[]] {
  const names = Object.keys(set)
  return [
    `UPDATE users SET ${names.map((name, at) => `${name} = $${at + 2}`).join(', ')} WHERE id = $1`,
    [id, ...Object.values(set)],
  ]
}
