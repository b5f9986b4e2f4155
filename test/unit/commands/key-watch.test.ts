// The watch on the file of the API key, with a file that a test rewrites: it looks only while the key is refused, says what it
// cannot read once, and gives a new key once.
import { expect, test } from 'vitest'
import { KeyWatch } from '../../../src/commands/key-watch.ts'
import { readKeyFile } from '../../../src/config/api-key.ts'
import { Secret } from '../../../src/config/secret.ts'
import { type LogFields, type Logger, SILENT_LOGGER } from '../../../src/core/logger.ts'
import { until } from '../../support/wait.ts'

function watching() {
  const world = { refused: true, asked: 0, text: 'old', looks: 0, keys: [] as string[], lines: [] as string[] }
  const record = (fields: LogFields, message: string) => void world.lines.push(JSON.stringify({ ...fields, message }))
  const log: Logger = { ...SILENT_LOGGER, info: record, warn: record }
  const watch = new KeyWatch({
    key: new Secret('old'),
    read: () => {
      world.looks += 1
      return readKeyFile('/key', async () => world.text)
    },
    isRefused: () => {
      world.asked += 1
      return world.refused
    },
    onKey: (key) => void world.keys.push(key.reveal()),
    log,
    everyMs: 1,
  })
  const looked = (more: number) => {
    const from = world.looks
    return until(() => world.looks >= from + more, { what: `${more} looks` })
  }
  return { world, watch, looked }
}

test('another key is given once, and the watch is over', async () => {
  const { world, watch, looked } = watching()
  await using _ = watch
  await looked(3)
  expect(world.keys).toEqual([])
  world.text = 'SUPRSEND_API_KEY=new\n'
  await until(() => world.keys.length > 0, { what: 'the key' })
  const { looks } = world
  await watch[Symbol.asyncDispose]()
  expect(world).toMatchObject({ keys: ['new'], looks })
  expect(world.lines).toHaveLength(1)
  expect(world.lines.join()).not.toContain('new')
})

test('a key that is accepted is not looked after', async () => {
  const { world, watch, looked } = watching()
  await using _ = watch
  await looked(1)
  world.refused = false
  world.text = 'new'
  const { asked, looks } = world
  await until(() => world.asked >= asked + 5, { what: 'its turn to come five times' })
  expect(world).toMatchObject({ looks, keys: [] })
  world.refused = true
  await until(() => world.keys.length > 0, { what: 'the key' })
})

test('a file that is being written, or gone, is said once, and looked at again', async () => {
  const { world, watch, looked } = watching()
  await using _ = watch
  world.text = ''
  await looked(5)
  expect(world.lines).toEqual([expect.stringContaining('/key is empty')])
  world.text = 'new'
  await until(() => world.keys.length > 0, { what: 'the key' })
})
