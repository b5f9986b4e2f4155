// What YAML makes possible and a configuration does not mean: keys that are no texts, anchors in circles, aliases of aliases.
import { expect, test } from 'vitest'
import { loadConfig } from '../../../src/config/load.ts'
import { ConfigError } from '../../../src/config/problem.ts'

const MINIMAL = `version: 1
source: {url: postgres://localhost/app, table: users}
suprsend: {api_key: key}
user: {distinct_id: id}
profile:
`

const load = (profile: string) =>
  loadConfig({ path: 'config.yaml', env: {}, readFile: async () => `${MINIMAL}${profile}\n` })

async function problemsOf(profile: string): Promise<readonly string[]> {
  const error = await load(profile).catch((thrown: unknown) => thrown)
  return error instanceof ConfigError ? error.format().split('\n') : [`no ConfigError: ${String(error)}`]
}

test('keys are texts as they are written, also where YAML reads a number', async () => {
  const config = await load('  1.0: a\n  n: {column: b, map: {007: x, 7: y, 1e3: z, ~: w}}')
  expect([...config.mapping.profile.keys()]).toEqual(['1.0', 'n'])
  const [source] = config.mapping.profile.get('n') ?? []
  expect([...(source?.map ?? [])].toSorted()).toEqual([
    ['007', 'x'],
    ['1e3', 'z'],
    ['7', 'y'],
    ['~', 'w'],
  ])
})

test.each([
  ['  n: &a {const: [*a]}', '6:18 the anchor &a holds itself'],
  ['  n: &a {column: b, when: *a}', '6:27 the anchor &a holds itself'],
  ['  {{name}}: a', '6:3 a key must be a text, not a list or a mapping'],
  ['  ? [a, b]\n  : c', '6:5 a key must be a text, not a list or a mapping'],
  [
    '  n: &a {column: b}\n  m: {<<: *a}',
    '7:7 `<<` does not merge here: repeat the keys, or give a whole mapping an anchor and use it as it is',
  ],
])('%s', async (profile, expected) => {
  expect(await problemsOf(profile)).toEqual([`config.yaml:${expected}`])
})

test.each(['0.123456789012345678', '-9007199254740993', '100000000000000000000001', '1.00000000000000000001e3'])(
  'a number that would be another one: %s',
  async (number) => {
    expect(await problemsOf(`  n: {const: ${number}}`)).toEqual([
      'config.yaml:6:14 profile.n.const: this number has more digits than JavaScript holds; quote it, and it stays as it is',
    ])
  },
)

test.each(['0.1', '-001.50', '1e3', '1.5E-3', '0', '-0.0', '.5', '5.', '9007199254740991', '0x1F', '0o17', '1e300'])(
  'a number as it is written: %s',
  async (number) => {
    const problems = await problemsOf(`  n: {map: {a: ${number}}, column: b}`)
    expect(problems.filter((problem) => problem.includes('digits'))).toEqual([])
  },
)

test('aliases that make too much of the file', async () => {
  const list = (of: string) => `[${Array(30).fill(of).join(', ')}]`
  const lines = ['a', 'b', 'c', 'd'].map((name, at, all) => {
    const item = at === 0 ? '1' : `*${all[at - 1]}`
    return `    - &${name} ${list(item)}`
  })
  expect(await problemsOf(`  n:\n   const:\n${lines.join('\n')}`)).toEqual([
    'config.yaml:1:1 aliases of aliases make too much of this file',
  ])
})

test('aliases that save typing, however many', async () => {
  const lines = Array.from({ length: 300 }, (_, at) => `  k${at}: ${at === 0 ? '&a {column: c}' : '*a'}`)
  expect((await load(lines.join('\n'))).mapping.profile.size).toBe(300)
})
