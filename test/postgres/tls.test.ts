// `sslmode` as libpq means it, on ordinary connections and the walsender's: what is encrypted, what is verified, and what is said of a
// certificate that does not hold. A real server with a certificate for `localhost`.
import { execFile } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connectionConfig, openClient } from '../../src/postgres/connection.ts'
import { connectionFailure } from '../../src/postgres/connection-failure.ts'
import { type Cluster, startCluster } from '../support/cluster.ts'

const FILES = join(dirname(fileURLToPath(import.meta.url)), '..', 'support', 'tls')
const ca = (name: string) => encodeURIComponent(join(FILES, `${name}.pem`))

let cluster: Cluster

/** The server's own copies: it reads a key only of its own user's. */
async function certify(certificate: string): Promise<void> {
  const copy = async (from: string, to: string) => {
    const path = join(cluster.dataDir, to)
    await promisify(execFile)('sh', [
      '-c',
      `cp -a '${join(cluster.dataDir, 'PG_VERSION')}' '${path}' && cat '${join(FILES, from)}' > '${path}' && chmod 600 '${path}'`,
    ])
  }
  await copy(certificate, 'server.crt')
  await copy('server.key', 'server.key')
  await cluster.restart({ ssl: 'on' })
}

beforeAll(async () => {
  cluster = await startCluster()
  await certify('server.pem')
})
afterAll(() => cluster[Symbol.asyncDispose]())

function url(host: string, query: string): string {
  const parsed = new URL(cluster.url())
  parsed.hostname = host
  return `${parsed.href}?${query}`
}

/** Whether it is encrypted, for an ordinary connection and for the walsender's; or the cause and the words of the failure. */
async function connected(to: string): Promise<unknown> {
  try {
    const client = await openClient(connectionConfig(to))
    const walsender = await openClient(connectionConfig(to, { replication: true }))
    try {
      await walsender.query('IDENTIFY_SYSTEM')
      const { rows } = await client.query<{ ssl: boolean }>(
        "SELECT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'suprsync' ORDER BY 1",
      )
      return rows.map(({ ssl }) => ssl)
    } finally {
      await client.end()
      await walsender.end()
    }
  } catch (error) {
    const { cause, message } = connectionFailure(error)
    return `${cause}: ${message}`
  }
}

describe('a certificate for localhost', () => {
  test.each([
    ['sslmode=disable', 'localhost', [false, false]],
    ['sslmode=prefer', 'localhost', [true, true]],
    ['sslmode=require', 'localhost', [true, true]],
    [`sslmode=verify-ca&sslrootcert=${ca('ca')}`, 'localhost', [true, true]],
    // verify-ca does not look at the name.
    [`sslmode=verify-ca&sslrootcert=${ca('ca')}`, '127.0.0.1', [true, true]],
    [`sslmode=verify-full&sslrootcert=${ca('ca')}`, 'localhost', [true, true]],
  ])('%s to %s', async (query, host, encrypted) => {
    expect(await connected(url(host, query))).toEqual(encrypted)
  })

  test.each([
    [`sslmode=verify-full&sslrootcert=${ca('ca')}`, '127.0.0.1', /^tls: .*(altnames|does not match)/i],
    [`sslmode=verify-ca&sslrootcert=${ca('other-ca')}`, 'localhost', /^tls: .*(verify|self-signed|issuer)/i],
    // Without a CA of one's own those of the machine count.
    ['sslmode=verify-full', 'localhost', /^tls: .*(verify|self-signed|issuer)/i],
  ])('%s to %s is refused, and why', async (query, host, why) => {
    expect(await connected(url(host, query))).toMatch(why)
  })
})

test('a certificate that has expired: told so where it is verified, taken where it is not', async () => {
  await certify('expired.pem')
  expect(await connected(url('localhost', `sslmode=verify-full&sslrootcert=${ca('ca')}`))).toMatch(/^tls: .*expired/i)
  expect(await connected(url('localhost', 'sslmode=require'))).toEqual([true, true])
  await certify('server.pem')
})

test('a server without TLS is refused by whoever asks for it; `prefer` does not go on in clear', async () => {
  await cluster.restart()
  for (const mode of ['require', 'prefer'])
    expect(await connected(url('localhost', `sslmode=${mode}`))).toMatch(/^tls: .*SSL/)
  expect(await connected(url('localhost', 'sslmode=disable'))).toEqual([false, false])
  await cluster.restart({ ssl: 'on' })
})
