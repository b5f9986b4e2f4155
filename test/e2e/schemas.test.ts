// Three kinds of application, from `init` to a converged `run`: the proposed file, with what an engineer would add; the printed
// role, which may read no more than it must; then rows that are awkward in the way of each, changed while it runs.
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Config } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { Finding } from '../../src/core/finding.ts'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { BIN, type Run } from '../support/installation.ts'
import { expectConverged } from '../support/oracle.ts'

interface Journey {
  readonly schema: string
  readonly rows: string
  /** What the engineer changes in the proposed file. */
  readonly edit?: (yaml: string) => string
  readonly changes: readonly string[]
}

interface Arrival {
  readonly database: TestDatabase
  readonly emulator: Emulator
  readonly yaml: string
  readonly config: Config
  readonly everSent: string
}

const asProposed = (yaml: string) => yaml

async function travel(
  { schema, rows, edit = asProposed, changes }: Journey,
  arrive: (at: Arrival) => void,
): Promise<void> {
  await using database = await createTestDatabase()
  await database.query(await readFile(new URL(`../schemas/${schema}.sql`, import.meta.url), 'utf8'))
  await database.query(rows)
  await using emulator = await startEmulator()
  const directory = await mkdtemp(join(tmpdir(), 'suprsync-journey-'))
  try {
    const file = join(directory, 'suprsync.yaml')
    const init = await command(['init', '--yes', '--json', '--output', file], { DATABASE_URL: database.url })
    expect(init).toMatchObject({ code: 0, stderr: '' })
    const role = await makeRole(database, (JSON.parse(init.stdout) as { readonly sql: string }).sql)
    const proposed = await readFile(file, 'utf8')
    await writeFile(file, `${edit(proposed)}\nhttp: off\n`)
    const env = { DATABASE_URL: database.urlAs(role), SUPRSEND_API_KEY: 'key', SUPRSEND_BASE_URL: emulator.url }
    // A column that the engineer added is one that the role may not read yet: `check` says so, with the SQL.
    const check = ['check', '--json', '--config', file]
    const findings = JSON.parse((await command(check, env)).stdout) as { readonly findings: readonly Finding[] }
    for (const { code, level, sql } of findings.findings.filter((it) => it.level === 'error')) {
      expect({ code, level, isEdited: edit !== asProposed }).toEqual({
        code: 'role_cannot_read',
        level,
        isEdited: true,
      })
      await database.query(sql ?? '')
    }
    expect((await command(check, env)).code).toBe(0)
    const config = await loadConfig({ path: file, env, readFile: (path) => readFile(path, 'utf8') })

    await using service = running(['run', '--config', file], env)
    await service.streaming
    for (const change of changes) await database.query(change)
    await expectConverged({ database, emulator, config })
    const everSent = JSON.stringify([...emulator.users().keys()].map((id) => emulator.history(id)))
    arrive({ database, emulator, yaml: proposed, config, everSent })
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** Roles belong to the whole server: another name than the printed one. It goes with the database. */
async function makeRole(database: TestDatabase, sql: string): Promise<string> {
  const role = await database.createRole()
  await database.query(`DROP ROLE ${role}`)
  const renamed = sql.replaceAll(/\b(ROLE|TO|AUTHORIZATION|GRANT) "?suprsync"?/g, `$1 ${role}`)
  // A setting of the server is for all tests; the rest is a statement a line.
  const statements = renamed.split('\n').filter((line) => !/^(--|ALTER SYSTEM|$)/.test(line))
  for (const statement of statements) await database.query(statement)
  await database.query(`ALTER ROLE ${role} PASSWORD 'test'`)
  return role
}

type Env = { readonly [name: string]: string }

function start(args: readonly string[], env: Env) {
  const cache = join(tmpdir(), 'suprsync-test-compile-cache')
  return spawn(process.execPath, [BIN, ...args], {
    env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: cache, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

async function command(args: readonly string[], env: Env): Promise<Run> {
  const child = start(args, env)
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text
  })
  const code = await new Promise<number>((resolve) => child.once('close', (status) => resolve(status ?? -1)))
  return { code, ...output }
}

function running(args: readonly string[], env: Env): AsyncDisposable & { readonly streaming: Promise<void> } {
  const child = start(args, env)
  const closed = new Promise((resolve) => child.once('close', resolve))
  let log = ''
  const streaming = new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      log += text
      if (log.includes('"capture":"streaming"')) resolve()
    })
    child.once('close', () => reject(new Error(`the service ended: ${log}`)))
  })
  return {
    streaming,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM')
      await closed
    },
  }
}

describe('from init to a converged run', () => {
  test('Rails with Devise', () =>
    travel(
      {
        schema: 'rails',
        rows: `INSERT INTO users (id, email, confirmed_at, unconfirmed_email, first_name, last_name, phone_number, time_zone, locale, role, encrypted_password, created_at, updated_at)
          SELECT n, 'user' || n || '@example.com', CASE WHEN n % 3 > 0 THEN now() END, CASE WHEN n % 4 = 0 THEN 'canary' || n || '@example.com' END,
            'First', 'Last' || n, CASE WHEN n % 2 = 0 THEN '+4477009001' || lpad(n::text, 2, '0') ELSE 'none' END,
            (ARRAY['Eastern Time (US & Canada)', 'Kolkata', 'UTC', 'Nowhere', NULL])[1 + n % 5], 'en', n % 3, 'canary-password', now(), now()
          FROM generate_series(1, 40) n;
          INSERT INTO mobile_devices (user_id, platform, push_token, created_at, updated_at)
          SELECT n, CASE WHEN n % 2 = 0 THEN 'android' ELSE 'ios' END, 'token-' || n, now(), now() FROM generate_series(1, 50) n`,
        // Integer enums mean nothing to anybody else.
        edit: (yaml) =>
          yaml.replace(
            /^profile:$/m,
            'profile:\n  role: { column: role, map: { 0: member, 1: admin }, default: other }',
          ),
        changes: [
          'UPDATE users SET confirmed_at = now(), email = unconfirmed_email, unconfirmed_email = NULL WHERE id = 12',
          "UPDATE users SET unconfirmed_email = 'canary-new@example.com' WHERE id = 1",
          "UPDATE users SET time_zone = 'Eastern Time (US & Canada)', role = 1 WHERE id = 2",
          'UPDATE mobile_devices SET user_id = 3 WHERE user_id = 4',
          'DELETE FROM mobile_devices WHERE user_id = 6',
          'DELETE FROM users WHERE id = 7',
          'UPDATE users SET discarded_at = now() WHERE id = 8',
          'UPDATE users SET sign_in_count = sign_in_count + 1',
        ],
      },
      ({ emulator, yaml, everSent }) => {
        const users = emulator.users()
        expect(users.get('1')?.channels.$email).toEqual(['user1@example.com'])
        // Not confirmed yet; confirmed since, and only then sent.
        expect(users.get('3')?.channels.$email).toBeUndefined()
        expect(users.get('12')?.channels.$email).toEqual(['canary12@example.com'])
        expect(users.get('2')?.properties).toMatchObject({ $timezone: 'America/New_York', role: 'admin' })
        expect(everSent.replaceAll('canary12@example.com', '')).not.toContain('canary')
        expect(users.has('7')).toBe(false)
        expect(users.has('8')).toBe(false)
        expect(yaml).toMatch(/Never proposed.*unconfirmed_email/s)
      },
    ))

  test('Supabase', () =>
    travel(
      {
        schema: 'supabase',
        rows: `INSERT INTO auth.users (id, email, phone, raw_user_meta_data, encrypted_password, email_confirmed_at, phone_confirmed_at)
          SELECT ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, 'user' || n || '@example.com',
            CASE WHEN n % 3 = 0 THEN '4477009001' || lpad(n::text, 2, '0') WHEN n % 3 = 1 THEN NULL END,
            CASE WHEN n % 2 = 0 THEN jsonb_build_object('nickname', 'nick' || n) ELSE '{}' END, 'canary-password', now(), now()
          FROM generate_series(1, 30) n;
          UPDATE auth.users SET phone = NULL WHERE phone = '';
          INSERT INTO public.profiles (id, username, full_name, timezone, locale)
          SELECT id, 'name' || right(id::text, 4), 'Full Name', 'asia/calcutta', 'en_US' FROM auth.users WHERE right(id::text, 2)::int < 20`,
        edit: (yaml) => yaml.replace(/^profile:$/m, 'profile:\n  nickname: { value: raw_user_meta_data.nickname }'),
        changes: [
          "UPDATE auth.users SET raw_user_meta_data = raw_user_meta_data - 'nickname' WHERE right(id::text, 2) = '04'",
          "UPDATE auth.users SET phone = '447700900777' WHERE right(id::text, 2) = '01'",
          "UPDATE public.profiles SET full_name = 'Another Name', timezone = NULL WHERE right(id::text, 2) = '05'",
          "DELETE FROM public.profiles WHERE right(id::text, 2) = '06'",
          "DELETE FROM auth.users WHERE right(id::text, 2) = '09'",
          'UPDATE auth.users SET last_sign_in_at = now()',
        ],
      },
      ({ emulator, everSent }) => {
        const user = (n: string) => emulator.users().get(`00000000-0000-0000-0000-0000000000${n}`)
        expect(user('01')?.channels.$sms).toEqual(['+447700900777'])
        expect(user('02')?.properties.nickname).toBe('nick2')
        expect(user('04')?.properties).not.toHaveProperty('nickname')
        expect(user('03')?.properties.$timezone).toBe('Asia/Kolkata')
        expect(user('05')?.properties).toMatchObject({ full_name: 'Another Name' })
        expect(user('05')?.properties).not.toHaveProperty('$timezone')
        expect(user('06')?.properties).not.toHaveProperty('full_name')
        expect(user('09')).toBeUndefined()
        expect(everSent).not.toContain('canary')
      },
    ))

  test('a multi-tenant application', () =>
    travel(
      {
        schema: 'saas',
        rows: `INSERT INTO organizations (id, name, slug) VALUES ('10000000-0000-0000-0000-000000000000', 'Org', 'org');
          INSERT INTO users (id, organization_id, full_name, phone, country_code, timezone, language, status, password_hash, whatsapp_opt_in)
          SELECT ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, '10000000-0000-0000-0000-000000000000', 'User ' || n, '07700 9001' || lpad(n::text, 2, '0'),
            'GB', 'Europe/London', 'en', 'active', 'canary-hash', n % 2 = 0 FROM generate_series(1, 30) n;
          INSERT INTO user_emails (user_id, email, is_primary, verified_at)
          SELECT id, kind || right(id::text, 2) || '@example.com', kind = 'first', CASE WHEN kind <> 'new' THEN now() END
          FROM users, unnest(ARRAY['first', 'second', 'new']) kind;
          INSERT INTO user_devices (user_id, platform, token, revoked_at)
          SELECT id, platform, platform || '-' || right(id::text, 2), CASE WHEN platform = 'ios' AND right(id::text, 1) = '1' THEN now() END
          FROM users, unnest(ARRAY['android', 'ios']) platform`,
        changes: [
          "UPDATE user_devices SET revoked_at = now() WHERE token = 'android-05'",
          "UPDATE user_devices SET user_id = '00000000-0000-0000-0000-000000000006' WHERE token = 'android-07'",
          "DELETE FROM user_devices WHERE token = 'ios-08'",
          "UPDATE user_emails SET verified_at = now() WHERE email = 'new02@example.com'",
          "DELETE FROM user_emails WHERE email = 'second03@example.com'",
          "UPDATE users SET phone = NULL, deleted_at = NULL WHERE right(id::text, 2) = '09'",
          "DELETE FROM users WHERE right(id::text, 2) = '10'",
          "UPDATE users SET deleted_at = now() WHERE right(id::text, 2) = '11'",
          'UPDATE users SET last_seen_at = now()',
        ],
      },
      ({ emulator, everSent }) => {
        const user = (n: string) => emulator.users().get(`00000000-0000-0000-0000-0000000000${n}`)
        expect(user('05')?.channels.$androidpush).toBeUndefined()
        expect(user('06')?.channels.$androidpush?.toSorted()).toEqual(['android-06', 'android-07'])
        expect(user('07')?.channels.$androidpush).toBeUndefined()
        expect(user('08')?.channels.$iospush).toBeUndefined()
        expect(user('04')?.channels.$sms).toEqual(['+447700900104'])
        expect(user('03')?.channels.$email).not.toContain('second03@example.com')
        expect(user('10')).toBeUndefined()
        expect(user('11')).toBeUndefined()
        expect(everSent).not.toContain('canary')
      },
    ))
})
