// What nobody may see while tables are read anew: a user without a value that it had before and has afterwards.
import { expect } from 'vitest'
import type { RemoteUser } from '../../src/core/api.ts'
import { canonical, type JsonObject } from '../../src/core/json.ts'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase, type TestDatabase } from './database.ts'
import { expectConverged, expectedUsers } from './oracle.ts'
import { type Service, type ServiceOptions, startService } from './service.ts'
import { until } from './wait.ts'

export const USERS = 300
/** Of 300 rows: pages of 50 and 200, with time between them for what they made due to be sent. */
export const SLOWLY = { backfill: { max_rows_per_second: 250 } }

export interface KeptWorld {
  readonly database: TestDatabase
  readonly emulator: Emulator
  readonly start: (config: JsonObject, more?: Partial<ServiceOptions>) => Promise<Service>
  /** A first life, up to everybody being told. */
  readonly first: (config: JsonObject) => Promise<void>
  /** Every user is as the tables say, no reading is left, and what everybody held before and after was never missed. */
  readonly keptAll: (service: Service) => Promise<void>
}

export async function keptWorld(run: (world: KeptWorld) => Promise<void>): Promise<void> {
  await using database = await createTestDatabase()
  await database.query(`
    CREATE TABLE users (id int PRIMARY KEY, ext int NOT NULL, email text, name text);
    CREATE TABLE user_emails (id int PRIMARY KEY, user_id int UNIQUE, user_ext int, address text);
    INSERT INTO users SELECT n, 1 + (n + 149) % ${USERS}, 'u' || n || '@example.com', 'User ' || n FROM generate_series(1, ${USERS}) n;
    INSERT INTO user_emails SELECT id, id, ext, email FROM users`)
  await using emulator = await startEmulator()
  const base = { databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot }
  const start = (config: JsonObject, more?: Partial<ServiceOptions>) => startService({ ...base, ...more, config })
  const settled = async (service: Service) => {
    await service.waitStreaming()
    const names = [service.config.source.table, ...service.config.mapping.children.map(({ table }) => table)].map(
      ({ schema, name }) => `${schema ?? 'public'}.${name}`,
    )
    const left = `SELECT FROM suprsync.backfill WHERE finished_at IS NULL
      UNION ALL SELECT FROM suprsync.mapped_table WHERE NOT source = ANY($1) OR gap IS NOT NULL`
    await until(async () => (await database.query(left, [names])).length === 0, {
      what: 'the readings',
      timeoutMs: 30_000,
    })
    await expectConverged({ database, emulator, config: service.config })
  }
  let before: ReadonlyMap<string, string> = new Map()
  await run({
    database,
    emulator,
    start,
    first: async (config) => {
      await using service = await start(config)
      await settled(service)
      before = await expectedUsers(database, service.config)
      await service.stop()
    },
    keptAll: async (service) => {
      await settled(service)
      expectKept(emulator, before, await expectedUsers(database, service.config))
    },
  })
}

/** As the oracle has it: values are their canonical texts. */
type Held = Pick<RemoteUser, 'properties'> & { readonly channels: { readonly [key: string]: readonly string[] } }

function asTexts({ channels, properties }: RemoteUser): Held {
  const texts = Object.entries(channels).map(([key, list]) => [key, list.map((value) => canonical(value))])
  return { channels: Object.fromEntries(texts), properties }
}

/** What a user held before and holds now was there all the time. */
export function expectKept(
  emulator: Emulator,
  before: ReadonlyMap<string, string>,
  now: ReadonlyMap<string, string>,
): void {
  const missed: string[] = []
  for (const [id, text] of now) {
    const was = before.get(id)
    if (was === undefined) continue
    const kept = values(JSON.parse(text) as Held).filter((value) => values(JSON.parse(was) as Held).includes(value))
    for (const { method, body, state } of emulator.history(id).slice(1)) {
      const has = state === null ? [] : values(asTexts(state))
      const lost = state === null ? ['everything'] : kept.filter((value) => !has.includes(value))
      if (lost.length > 0) missed.push(`user ${id}, after ${method} ${JSON.stringify(body)}: ${lost.join(', ')}`)
    }
  }
  expect(missed.slice(0, 5)).toEqual([])
}

function values({ channels, properties }: Held): readonly string[] {
  return [
    ...Object.entries(channels).flatMap(([key, list]) => list.map((value) => `${key} ${value}`)),
    ...Object.keys(properties),
  ]
}
