// `npm run soak` says how it is used, and begins nothing on arguments that it does not understand.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const MAIN = fileURLToPath(new URL('../../soak/main.ts', import.meta.url))

function soak(
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], (error, out, err) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err })
    })
  })
}

test('--help', async () => {
  expect(await soak('--help')).toMatchObject({ code: 0, out: expect.stringContaining('--minutes n'), err: '' })
})

test.each([['--minutes', '0'], ['--minutes', 'long'], ['--seed', '1.5'], ['--unknown'], ['7']])(
  '%s %s',
  async (...args) => {
    expect(await soak(...args)).toMatchObject({ code: 2, out: '', err: expect.stringContaining('npm run soak') })
  },
)
