// Every key of the configuration that a page or a next step names exists: an operator sent to `suprsend.requests_per_second`
// would only meet "unknown key".
import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { configSchema } from '../../../src/config/schema.ts'
import { ERROR_POLICY } from '../../../src/core/error-policy.ts'
import { ROW_FAILURES } from '../../../src/core/failed-row.ts'

const ROOT = new URL('../../../', import.meta.url)
const SECTIONS = ['source', 'state', 'suprsend', 'http', 'user', 'reconcile', 'log']
const KEYS = new Set(SECTIONS.flatMap((section) => keysOf(section).map((key) => `${section}.${key}`)))

/** As the file spells them; `input` looks behind defaults. */
function keysOf(section: string): readonly string[] {
  const { properties } = z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' })
  const found = properties?.[section]
  return typeof found === 'object' ? Object.keys(found.properties ?? {}) : []
}

/** `suprsend.api_key`, but neither `status.suprsend.com` nor `state.ts`. */
function namedIn(text: string): readonly string[] {
  return [...text.matchAll(/(?<![\w./])(source|state|suprsend|http|user|reconcile|log)\.([a-z_]+)(?![\w(])/g)].map(
    ([key]) => key,
  )
}

test.each(SECTIONS)('%s has keys', (section) => {
  expect(keysOf(section)).not.toEqual([])
})

test('the next steps name keys that exist', () => {
  const steps = [...Object.values(ERROR_POLICY), ...Object.values(ROW_FAILURES)].map(({ nextStep }) => nextStep)
  const named = steps.flatMap(namedIn)
  expect(named.length).toBeGreaterThan(5)
  for (const key of named) expect(KEYS).toContain(key)
})

const pages = ['README.md', ...readdirSync(new URL('docs', ROOT)).map((name) => `docs/${name}`)]
test.each(pages)('%s names keys that exist', (page) => {
  const code = [...readFileSync(new URL(page, ROOT), 'utf8').matchAll(/`([^`\n]+)`/g)].map(([, text = '']) => text)
  for (const key of code.flatMap(namedIn)) expect(KEYS, key).toContain(key)
})
