// What `init` proposes for tables that nobody would draw on a whiteboard: the file loads as it is printed, and `check` has nothing
// against it. Lines that are switched off become right when they are switched on.
import { expect, test } from 'vitest'
import { checkDatabases } from '../../src/commands/preflight.ts'
import { loadConfig } from '../../src/config/load.ts'
import { createTestDatabase } from '../support/database.ts'
import { runCommand } from '../support/installation.ts'

const TABLES: readonly (readonly [string, string, readonly string[]])[] = [
  [
    'names that YAML, SQL, CEL and a terminal have their own ideas about',
    `CREATE TABLE "App ""Users"": #1" (
       "null" bigint PRIMARY KEY, "e-mail" text, "\${PHONE}" text, "a: b # c" text, "yes" boolean, "007" int, "1e3" text,
       "first name" text, "Last\nName" text, "Ünïcode ✓" text, "type" text, "in" text, "row" text, "it's" text,
       "deleted at" timestamptz, "{{tz}}" text, "time zone" text, "- locale" text, "%phone" text, "*mobile" text, "&x" jsonb,
       "trailing " text, " leading" text, "tab\there" text, "back\\slash" text, "true" text, "created_at" timestamptz)`,
    ['--table', '"App ""Users"": #1"'],
  ],
  [
    'types that cannot be mapped, generated columns, and everything an address could be in',
    `CREATE EXTENSION citext;
     CREATE TYPE pair AS (a int, b text);
     CREATE TYPE platform AS ENUM ('ios', 'android', 'it''s');
     CREATE DOMAIN email AS citext CHECK (VALUE ~ '@');
     CREATE DOMAIN us_phone AS varchar(20);
     CREATE TABLE users (id uuid PRIMARY KEY, email email NOT NULL, emails text[], phone us_phone, phones jsonb, avatar bytea,
       pair pair, full_name text GENERATED ALWAYS AS ('x') STORED, birthday date, score numeric, ratio float8, tags text[],
       period tstzrange, ip inet, settings json, fcm_token text, apns_tokens text[], platform platform, slack_user_id text,
       teams_webhook_url text, push_subscription jsonb, timezone text, locale text, country char(2), balance money,
       deleted_at timestamptz, confirmed boolean, confirmed_at timestamptz, status platform)`,
    [],
  ],
  [
    'a partitioned table with a composite key, children by several keys',
    `CREATE TABLE users (tenant_id int, id bigint, email text, PRIMARY KEY (tenant_id, id)) PARTITION BY HASH (tenant_id);
     CREATE TABLE users_0 PARTITION OF users FOR VALUES WITH (MODULUS 2, REMAINDER 0);
     CREATE TABLE users_1 PARTITION OF users FOR VALUES WITH (MODULUS 2, REMAINDER 1);
     CREATE TABLE devices (id bigint PRIMARY KEY, owner bigint, tenant int, token text, platform text,
       FOREIGN KEY (tenant, owner) REFERENCES users (tenant_id, id))`,
    [],
  ],
  [
    'children whose key reads otherwise than their user’s',
    `CREATE EXTENSION citext;
     CREATE TABLE users (id text PRIMARY KEY, email text);
     CREATE TABLE user_devices (id bigint PRIMARY KEY, user_id citext REFERENCES users, fcm_token text)`,
    [],
  ],
  [
    'children whose key is brought to their user’s, one row a user',
    `CREATE TABLE users (id bigint PRIMARY KEY, email text);
     CREATE TABLE profiles (user_id smallint PRIMARY KEY REFERENCES users, timezone text, locale text, phone text);
     CREATE TABLE "User Devices" (id bigint PRIMARY KEY, user_id int REFERENCES users, fcm_token text, "revoked at" timestamptz)`,
    [],
  ],
  ['a table of nothing but its key', 'CREATE TABLE users (id bigint PRIMARY KEY)', ['--table', 'users']],
  [
    'a table whose only id is an address',
    'CREATE TABLE users (email text PRIMARY KEY, name text)',
    ['--table', 'users'],
  ],
  [
    'two that could be it',
    'CREATE TABLE users (id int PRIMARY KEY, email text); CREATE TABLE members (id int PRIMARY KEY, email text)',
    [],
  ],
]

test('a domain over citext is a text, and a child that could not be read is switched off and says why', async () => {
  await using database = await createTestDatabase()
  await database.query(`
    CREATE EXTENSION citext;
    CREATE DOMAIN address AS citext;
    CREATE TABLE users (id text PRIMARY KEY, email address NOT NULL);
    CREATE TABLE user_devices (id bigint PRIMARY KEY, user_id citext REFERENCES users, fcm_token text)`)
  const run = await runCommand(['init', '--yes', '--json', '--stdout', '--url', database.url])
  expect(run).toMatchObject({ code: 0 })
  const { yaml } = JSON.parse(run.stdout)
  expect(yaml).toMatch(/^ {2}\$email: email/m)
  expect(yaml).toMatch(/^# {5}# user_id refers to public.users, but equal values may read differently/m)
})

test('a table whose only id is generated says so, and what to do', async () => {
  await using database = await createTestDatabase()
  await database.query(`
    CREATE TABLE users (tenant int, nr int, email text, PRIMARY KEY (tenant, nr),
      uid int NOT NULL GENERATED ALWAYS AS (tenant * 1000 + nr) STORED UNIQUE)`)
  const run = await runCommand(['init', '--yes', '--stdout', '--url', database.url])
  expect(run.code).not.toBe(0)
  expect(run.stderr).toMatch(
    / uid would be such a column, but is generated, .*\nnext: .* user\.distinct_id: \{value: CEL\}/,
  )
})

test.each(TABLES)('%s', async (_, create, args) => {
  await using database = await createTestDatabase()
  await database.query(create)
  const env = { DATABASE_URL: database.url, SUPRSEND_API_KEY: 'key', SLACK_BOT_TOKEN: 'xoxb-1' }
  const run = await runCommand(['init', '--yes', '--json', '--stdout', '--url', database.url, ...args])
  if (run.code !== 0) {
    expect(run.stderr).toMatch(/No column of .* can name a user|--table/)
    return
  }
  const { yaml } = JSON.parse(run.stdout)
  const load = (text: string) => loadConfig({ path: 'init.yaml', env, readFile: async () => text })
  const isEmpty = /^profile:\n {2}# nothing is sure enough/m.test(yaml) && !/^children:/m.test(yaml)
  const config = await load(isEmpty ? yaml.replace(/^profile:$/m, 'profile:\n  plan: { const: x }') : yaml)
  const errors = (await checkDatabases(config)).filter(({ level }) => level === 'error')
  expect(errors).toEqual([])
})
