// The configuration from the disk with a file that holds its API key: where it is looked for, and what is said of what is no such
// file, at the place of the key that names it.
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readConfig, readKey } from '../../../src/commands/config-file.ts'
import { ConfigError } from '../../../src/config/problem.ts'

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'suprsync-config-file-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

async function readWith(suprsend: string) {
  const path = join(directory, 'users.yaml')
  await writeFile(
    path,
    `version: 1
source: {url: "postgres://localhost/app", table: users}
suprsend: {${suprsend}}
user: {distinct_id: id}
profile: {$email: email}
`,
  )
  return await readConfig(path)
}

/** What stands against it, without the path of the file. */
async function problemsWith(suprsend: string): Promise<readonly string[]> {
  const error = await readWith(suprsend).catch((thrown: unknown) => thrown)
  if (!(error instanceof ConfigError)) throw error
  return error.format().replaceAll(`${directory}/`, '').split('\n')
}

test('a relative path begins at the folder of the mapping file, wherever the process was started', async () => {
  await mkdir(join(directory, 'secrets'))
  await writeFile(join(directory, 'secrets/key'), 'k-1\n')
  const { suprsend } = await readWith('api_key_file: secrets/key')
  expect(suprsend.apiKey.reveal()).toBe('k-1')
  expect(suprsend.apiKeyFile).toBe(join(directory, 'secrets/key'))
  const absolute = await readWith(`api_key_file: "${join(directory, 'secrets/key')}"`)
  expect(absolute.suprsend.apiKey.reveal()).toBe('k-1')
})

test('a mounted secret that is swapped by its links is read anew', async () => {
  for (const name of ['one', 'two']) {
    await mkdir(join(directory, name))
    await writeFile(join(directory, name, 'key'), name)
  }
  await symlink('one', join(directory, 'data'))
  await symlink('data/key', join(directory, 'key'))
  const { suprsend } = await readWith('api_key_file: key')
  expect(suprsend.apiKey.reveal()).toBe('one')
  await symlink('two', join(directory, 'next'))
  await rename(join(directory, 'next'), join(directory, 'data'))
  const read = await readKey(join(directory, 'key'))
  expect(read.kind === 'key' && read.key.reveal()).toBe('two')
})

test('what is no such file is said at the key that names it', async () => {
  await mkdir(join(directory, 'dir'))
  await writeFile(join(directory, 'large'), 'x'.repeat(64 * 1024 + 1))
  await writeFile(join(directory, 'lines'), '\ncanary\ncanary\n')
  await writeFile(join(directory, 'empty'), '')
  execFileSync('mkfifo', [join(directory, 'pipe')])
  const at = 'users.yaml:3:26 suprsend.api_key_file:'
  expect(await problemsWith('api_key_file: dir')).toEqual([
    `${at} dir is a directory; expected a file that holds the key (Docker makes one where what it mounts is missing)`,
  ])
  expect(await problemsWith('api_key_file: large')).toEqual([`${at} large is larger than 64 KB`])
  expect(await problemsWith('api_key_file: empty')).toEqual([`${at} empty is empty`])
  expect(await problemsWith('api_key_file: pipe')).toEqual([`${at} pipe is no regular file`])
  expect(await problemsWith('api_key_file: lines')).toEqual([
    `${at} lines:2: is neither the key alone in its file nor a line SUPRSEND_API_KEY=value among others`,
  ])
  const missing = 'there is no such file (a relative path begins at the folder of the mapping file)'
  // The key itself, where its file should be named, is printed nowhere.
  for (const name of ['SS.canary', 'dir/canary', 'empty/canary']) {
    expect(await problemsWith(`api_key_file: ${name}`)).toEqual([`${at} ${missing}`])
  }
  expect(await problemsWith('api_key_file: ""')).toEqual([
    `${at} expected the path of a file that holds the API key, found an empty text`,
  ])
})

test('of the key and its file exactly one is given', async () => {
  await writeFile(join(directory, 'key'), 'k-1')
  expect(await problemsWith('api_key: k-2, api_key_file: key')).toEqual([
    'users.yaml:3:26 suprsend.api_key_file: api_key is given as well; needs exactly one of the two',
  ])
  expect(await problemsWith('max_in_flight: 0')).toEqual([
    'users.yaml:3:1 suprsend.api_key: is missing: expected an API key, or api_key_file',
    'users.yaml:3:27 suprsend.max_in_flight: expected a whole number from 1 to 10000, found a number',
  ])
})
