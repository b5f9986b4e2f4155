// One value, two roads: for every type that can be mapped the stream and a page give the same, and it is what docs/mapping.md says.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileTables } from '../../src/commands/compiled-tables.ts'
import type { JsonObject } from '../../src/core/json.ts'
import { isSupported } from '../../src/core/values.ts'
import { CaptureHarness } from '../support/capture-harness.ts'
import { createTestDatabase } from '../support/database.ts'
import { testSeed } from '../support/seed.ts'
import { sourceOf, specOf } from '../support/source-spec.ts'
import { until } from '../support/wait.ts'

const plain = fc
  .string({ unit: 'grapheme', maxLength: 12 })
  .filter((text) => !text.includes('\0') && text.isWellFormed())
const two = (n: number) => String(n).padStart(2, '0')
const date = fc
  .tuple(fc.integer({ min: 1, max: 9_999 }), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 28 }))
  .map(([y, m, d]) => `${String(y).padStart(4, '0')}-${two(m)}-${two(d)}`)
const time = fc
  .tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }), fc.integer({ min: 0, max: 999_999 }))
  .map(([h, m, micros]) => `${two(h)}:${two(m)}:07.${String(micros).padStart(6, '0')}`)
const instant = fc.tuple(date, time).map(([d, t]) => `${d} ${t}`)
const zoned = fc.tuple(instant, fc.constantFrom('+00', '+05:30', '-11')).map(([at, zone]) => `${at}${zone}`)
const integer = (bits: number) =>
  fc.bigInt({ min: -(2n ** BigInt(bits - 1)), max: 2n ** BigInt(bits - 1) - 1n }).map(String)
const numeric = fc
  .tuple(fc.bigInt({ min: -(10n ** 24n), max: 10n ** 24n }), fc.nat({ max: 10 ** 9 }))
  .map(([whole, fraction]) => `${whole}.${fraction}`)
const json = fc
  .jsonValue({ maxDepth: 3 })
  .map((value) => JSON.stringify(value))
  .filter((text) => !text.includes('\\u0000') && text.isWellFormed() && !/\\ud[89a-f]/i.test(text))
const range = fc.tuple(fc.integer({ min: -99, max: 0 }), fc.integer({ min: 1, max: 99 })).map(([a, b]) => `[${a},${b})`)

/** Type and how its values are written. */
const TYPES: Readonly<Record<string, fc.Arbitrary<string>>> = {
  boolean: fc.constantFrom('t', 'f'),
  smallint: integer(16),
  integer: integer(32),
  bigint: integer(64),
  numeric: fc.oneof(numeric, fc.constantFrom('NaN', '0.00', '-0.10', '1e-20')),
  'numeric(20,4)': fc.bigInt({ min: -(10n ** 14n), max: 10n ** 14n }).map(String),
  real: fc.oneof(fc.float({ noNaN: true }).map(String), fc.constant('NaN')),
  'double precision': fc.oneof(
    fc.double({ noNaN: true }).map(String),
    fc.constantFrom('Infinity', '-Infinity', '1e300'),
  ),
  text: plain,
  'character varying(20)': plain,
  'character(6)': fc.stringMatching(/^[a-z]{0,6}$/),
  name: fc.stringMatching(/^[a-z]{1,12}$/),
  uuid: fc.uuid(),
  mood: fc.constantFrom('sad', 'so so', "it's fine"),
  positive: fc.integer({ min: 1, max: 2_147_483_647 }).map(String),
  date: fc.oneof(date, fc.constantFrom('infinity', '0044-03-15 BC')),
  'time without time zone': time,
  'time with time zone': time.map((it) => `${it}+02`),
  'timestamp without time zone': instant,
  'timestamp with time zone': fc.oneof(zoned, fc.constant('-infinity')),
  interval: fc
    .tuple(fc.nat({ max: 99 }), fc.integer({ min: -99, max: 99 }))
    .map(([m, s]) => `${m} months ${s} seconds`),
  json,
  jsonb: json,
  inet: fc.ipV4(),
  int4range: range,
  int4multirange: range.map((it) => `{${it}}`),
}
const NAMES = Object.keys(TYPES)
const literal = (text: string) => `'${text.replaceAll("'", "''")}'`

/** Of one row: every type, and an array of it with a NULL. */
const anyRow = fc.record(
  Object.fromEntries(
    NAMES.map((name) => [
      name,
      fc.tuple(fc.option(TYPES[name] ?? plain), fc.array(fc.option(TYPES[name] ?? plain), { maxLength: 3 })),
    ]),
  ),
) as fc.Arbitrary<Record<string, readonly [string | null, readonly (string | null)[]]>>

test('every type, and arrays of it: the same from stream and page', async () => {
  await using database = await createTestDatabase()
  await database.query(
    "CREATE TYPE mood AS ENUM ('sad', 'so so', 'it''s fine'); CREATE DOMAIN positive AS integer CHECK (VALUE > 0)",
  )
  const columns = NAMES.flatMap((name, at) => [`c${at} ${name}`, `a${at} ${name}[]`])
  const keys = NAMES.flatMap((_, at) => [`c${at}`, `a${at}`])
  await using harness = await CaptureHarness.create(database, {
    create: `CREATE TABLE users (id int PRIMARY KEY, ${columns.join(', ')})`,
    profile: Object.fromEntries(keys.map((key) => [key, key])),
  })
  const seed = testSeed()
  const rows = fc.sample(anyRow, { numRuns: 60, seed })
  await using _session = await harness.start({ paging: false })
  const cast = (text: string | null, type: string) => (text === null ? 'NULL' : `${literal(text)}::${type}`)
  for (const [at, row] of rows.entries()) {
    const values = NAMES.flatMap((name) => {
      const [single, list] = row[name] ?? [null, []]
      const items = list.map((item) => cast(item, name)).join(', ')
      return [cast(single, name), `ARRAY[${items}]::${name}[]`]
    })
    await database.query(`INSERT INTO users VALUES (${at + 1}, ${values.join(', ')})`)
  }
  await until(async () => (await harness.users()).size === rows.length, { what: 'the rows', timeoutMs: 30_000 })
  const profile = Object.fromEntries(keys.map((key) => [key, [sourceOf(key)]]))
  const compiled = compileTables(specOf(profile), harness.tables)
  if (compiled.kind === 'invalid') throw new Error(compiled.problems.map(({ message }) => message).join('\n'))
  const streamed = await harness.desired()
  const page = await harness.pages.page(null, 1_000)
  expect(page.rows).toHaveLength(rows.length)
  for (const row of page.rows) {
    const mapped = compiled.maps[0]?.(row)
    if (mapped?.kind !== 'user') throw new Error('no user')
    const { channels, properties } = mapped.profile
    expect(streamed[mapped.distinctId], `row ${mapped.distinctId}, seed ${seed}`).toEqual({
      ...channels,
      ...properties,
    } as JsonObject)
  }
  expect(harness.table.wanted.every(({ type }) => isSupported(type))).toBe(true)
})
