// The file that holds the API key: every form it may have, and what is said of the others, without a word of what they hold.
import { expect, test } from 'vitest'
import { parseKeyFile } from '../../../src/config/key-file.ts'

test.each([
  ['the key alone', 'k-1'],
  ['with a line end', 'k-1\n'],
  ['of Windows, with a mark of its encoding', '\uFEFFk-1\r\n'],
  ['among blank lines and comments', '\n# the workspace "live"\n\n  k-1  \n# rotated in May\n'],
  ['with a comment behind it', 'k-1 # live'],
  ['in quotes', '"k-1"\n'],
  ['of an environment file', 'A=1\nSUPRSEND_API_KEY=k-1\nB="x y"\n'],
  ['in the only line of one', 'SUPRSEND_API_KEY=k-1'],
  ['exported, in double quotes', 'export SUPRSEND_API_KEY="k-1" # live\n'],
  ['exported, in single quotes', "export  SUPRSEND_API_KEY='k-1'\n"],
  ['with blanks around the sign', 'SUPRSEND_API_KEY = k-1 # live\n'],
  ['the last one, as in a shell', 'SUPRSEND_API_KEY=old\nSUPRSEND_API_KEY=k-1\n'],
])('%s', (_, text) => {
  const parsed = parseKeyFile(text)
  expect(parsed.kind === 'key' && parsed.key.reveal()).toBe('k-1')
})

test.each(['c2VjcmV0==', 'c2VjcmV0=', 'C2==', 'a.b=c', '#'.padStart(3, 'x'), '$k', 'a"b'])(
  'a key may look like %s',
  (key) => {
    for (const text of [key, `SUPRSEND_API_KEY=${key}`]) {
      const parsed = parseKeyFile(text)
      expect(parsed.kind === 'key' && parsed.key.reveal(), text).toBe(key)
    }
  },
)

test.each([
  ['', null, 'is empty'],
  [' \n\t\r\n', null, 'is empty'],
  ['# canary\n', null, 'holds nothing but comments'],
  ['canary\ncanary\n', 1, 'is neither the key alone in its file nor a line SUPRSEND_API_KEY=value among others'],
  ['A=1\n\ncanary\n', 3, 'is neither the key alone in its file nor a line SUPRSEND_API_KEY=value among others'],
  ['DATABASE_URL=canary\n', null, 'has lines NAME=value, but none of SUPRSEND_API_KEY'],
  ['DATABASE_URL=\n', null, 'has lines NAME=value, but none of SUPRSEND_API_KEY'],
  ['A=1\nSUPRSEND_KEY=canary\n', null, 'has lines NAME=value, but none of SUPRSEND_API_KEY'],
  ['A=1\nSUPRSEND_API_KEY=\n', 2, 'the key is empty'],
  ['SUPRSEND_API_KEY=""', 1, 'the key is empty'],
  ['SUPRSEND_API_KEY= # canary', 1, 'the key is empty'],
  ['SUPRSEND_API_KEY="canary', 1, 'the quotes around the key are not closed'],
  ["'canary' canary", 1, 'the quotes around the key are not closed'],
  ['my canary', 1, 'the key holds blanks, control characters or letters outside ASCII'],
  ['\n\nSUPRSEND_API_KEY=my canary', 3, 'the key holds blanks, control characters or letters outside ASCII'],
  ['cana\u0000ry', 1, 'the key holds blanks, control characters or letters outside ASCII'],
  ['canary\u00e9', 1, 'the key holds blanks, control characters or letters outside ASCII'],
  ['x'.repeat(64 * 1024 + 1), null, 'is larger than 64 KB'],
])('%j', (text, line, message) => {
  expect(parseKeyFile(text)).toEqual({ kind: 'problem', line, message })
})
