// SIGHUP with a fake host: a configuration that can be used ends the round, any other changes nothing and is said.
import { EventEmitter } from 'node:events'
import { expect, test } from 'vitest'
import { Reload } from '../../../src/commands/reload.ts'
import type { Config } from '../../../src/config/config.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { Secret } from '../../../src/config/secret.ts'
import type { Finding } from '../../../src/core/finding.ts'
import { type LogFields, type Logger, SILENT_LOGGER } from '../../../src/core/logger.ts'

function file(profile: object, more: object = {}): string {
  return JSON.stringify({
    version: 1,
    source: { url: 'postgres://localhost/app', table: 'users' },
    suprsend: { api_key: 'key' },
    user: { distinct_id: 'id' },
    profile,
    ...more,
  })
}

const load = (text: string) => loadConfig({ path: 'a.json', env: {}, readFile: async () => text })

async function reloading(...findings: readonly (readonly Finding[])[]) {
  const host = new EventEmitter()
  const lines: (LogFields & { readonly message: string })[] = []
  const record = (fields: LogFields, message: string) => void lines.push({ ...fields, message })
  const log: Logger = { ...SILENT_LOGGER, info: record, warn: record, error: record }
  let text = file({ $email: 'email' })
  const checked: Config[] = []
  const reload = new Reload({
    config: await load(text),
    read: () => load(text),
    check: async (_was, config) => {
      checked.push(config)
      return findings[checked.length - 1] ?? []
    },
    log,
    host,
  })
  const hup = async (next: string) => {
    text = next
    host.emit('SIGHUP')
    await reload.settled()
  }
  return { host, lines, reload, hup, checked }
}

test('a new file ends the round, and the next one begins with it', async () => {
  const { reload, hup, checked } = await reloading()
  const first = reload.begin()
  await hup(file({ name: 'name' }))
  expect(first.superseded.aborted).toBe(true)
  const second = reload.begin()
  expect([...second.config.mapping.profile.keys()]).toEqual(['name'])
  expect(checked).toEqual([second.config])
  expect(second.superseded.aborted).toBe(false)
})

test('another key ends the round as well, and changes nothing else', async () => {
  const { reload, checked } = await reloading()
  const first = reload.begin()
  reload.takeKey(new Secret('new'))
  expect(first.superseded.aborted).toBe(true)
  const { config, superseded } = reload.begin()
  expect(config.suprsend.apiKey.reveal()).toBe('new')
  expect({ ...config, suprsend: null }).toEqual({ ...first.config, suprsend: null })
  expect({ checked, aborted: superseded.aborted }).toEqual({ checked: [], aborted: false })
})

test('a file with mistakes: nothing ends, and every problem is in the log with its place', async () => {
  const { reload, hup, lines } = await reloading()
  const { config, superseded } = reload.begin()
  await hup(file({ $emial: 'email' }, { log: { level: 'loud' } }))
  expect(superseded.aborted).toBe(false)
  expect(reload.begin().config).toBe(config)
  expect(lines).toEqual([
    {
      message: 'the new configuration cannot be used; the former one stays in force',
      problems: [
        expect.stringMatching(/^a\.json:1:\d+ profile\.\$emial: unknown key/),
        expect.stringMatching(/^a\.json:1:\d+ log\.level: /),
      ],
    },
  ])
})

test('what a check finds stands against it, what comes back by itself is waited for', async () => {
  const refused = await reloading([{ code: 'column_missing', level: 'error', message: 'no such column' }])
  refused.reload.begin()
  await refused.hup(file({ name: 'nmae' }))
  expect(refused.reload.begin().superseded.aborted).toBe(false)
  expect(refused.lines.map(({ message }) => message)).toContain('no such column')

  const away = { code: 'server_unreachable', level: 'error', message: 'away', cause: 'refused' } as const
  const waiting = await reloading(
    [away],
    [away],
    [{ code: 'column_missing', level: 'error', message: 'no such column' }],
  )
  waiting.reload.begin()
  await waiting.hup(file({ name: 'nmae' }))
  expect(waiting.checked).toHaveLength(3)
  expect(waiting.reload.begin().superseded.aborted).toBe(false)

  const taken = await reloading([away], [{ code: 'no_free_sender', level: 'error', message: 'ours is one of them' }])
  const { superseded } = taken.reload.begin()
  await taken.hup(file({ name: 'name' }))
  expect(superseded.aborted).toBe(true)
})

test('what only a start can change is said; disposing lets go of the signal', async () => {
  const { reload, hup, lines, host } = await reloading()
  await hup(file({ $email: 'email' }, { http: 'off' }))
  expect(lines.map(({ message }) => message)).toContain('http.listen and log.level take effect with the next start')
  reload[Symbol.dispose]()
  expect(host.listenerCount('SIGHUP')).toBe(0)
})
