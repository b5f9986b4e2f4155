// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the file's own syntax
// What `init` writes is read again as it was meant, whatever a catalogue calls its columns.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parse, parseDocument } from 'yaml'
import { comment, entry, entryOff } from '../../../src/commands/yaml-text.ts'
import { loadConfig } from '../../../src/config/load.ts'

const HOSTILE = [
  'yes',
  'NO',
  'null',
  '~',
  '',
  ' ',
  '1',
  '0x1f',
  '1e3',
  '.inf',
  '2024-01-01',
  "it's",
  'a: b',
  'a #b',
  '#',
  '- x',
  '? x',
  '&a',
  '*a',
  '!!int',
  '%x',
  '@x',
  '`x',
  '{',
  '}',
  '[',
  ',',
  '|',
  '>',
  '"',
  '\\',
  'tab\t',
  'line\nbreak',
  '\r',
  '\u0000',
  '\u0085',
  '\u2028',
  '\ufeff',
  '${HOME}',
  '$${HOME}',
  '$email',
  'ünïcode',
  '💥',
  '<<',
  '=',
  '---',
  '...',
  '\u007f',
  'a'.repeat(200),
]
const name = fc
  .oneof(
    fc.constantFrom(...HOSTILE),
    fc.string({ unit: 'grapheme', maxLength: 20 }),
    fc.string({ unit: 'binary', maxLength: 8 }),
  )
  .filter((it) => it.isWellFormed())
const settings = { numRuns: 500 }

test('a key and a text, plain or in a list or an object, behind a comment or switched off', () => {
  fc.assert(
    fc.property(name, name, name, fc.integer({ min: 0, max: 4 }), (key, text, why, indent) => {
      // Variables are replaced when the file is read; here only YAML is.
      const meant = text.replaceAll('${', '$$${')
      for (const [value, expected] of [
        [text, meant],
        [
          { [key]: text, list: [text, 7, true] },
          { [key]: meant, list: [meant, 7, true] },
        ],
      ] as const) {
        const written = `${' '.repeat(indent)}before: 1\n${entry(key, value, { indent, why })}\n${' '.repeat(indent)}after: 2`
        const read: unknown = parse(written, { mapAsMap: true, uniqueKeys: false })
        const plain = JSON.stringify(read, (_, it) => (it instanceof Map ? [...it] : it))
        expect(plain).toBe(
          JSON.stringify(
            [
              ['before', 1],
              [key, value],
              ['after', 2],
            ].map(([k, v]) => [k, v === value ? expected : v]),
            (_, it) => (typeof it === 'object' && !Array.isArray(it) ? Object.entries(it) : it),
          ),
        )
        const off = parseDocument(`before: 1\n${entryOff(key, value, { indent, why })}\n`)
        expect(off.toJS()).toEqual({ before: 1 })
      }
      expect(comment(why).split(/[\r\n\u0085\u2028\u2029]/)).toHaveLength(1)
    }),
    settings,
  )
})

test('a column of any name that PostgreSQL takes is a source in the file that is written', async () => {
  for (const column of HOSTILE.filter((it) => it !== '' && !it.includes('\0') && it.length <= 63)) {
    const text = [
      'version: 1',
      'source: { url: "postgres://localhost/app", table: users }',
      'suprsend: { api_key: key }',
      'user:',
      entry('distinct_id', column, { indent: 2 }),
      'profile:',
      entry('short', column, { indent: 2, why: column }),
      entry('long', { column, when: 'true' }, { indent: 2, why: column }),
    ].join('\n')
    const { mapping } = await loadConfig({ path: 'x.yaml', env: {}, readFile: async () => text })
    expect(mapping.distinctId).toEqual({ kind: 'column', column })
    expect([...mapping.profile.values()].map(([source]) => source?.from)).toEqual([
      { kind: 'column', column },
      { kind: 'column', column },
    ])
  }
})
