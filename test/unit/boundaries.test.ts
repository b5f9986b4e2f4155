// The import boundaries between the rooms (DESIGN §11) bite: biome, with the project's own configuration, is run over a
// small tree in which each file holds one import, and must object to exactly those that are forbidden.
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))

const forbidden: readonly [file: string, source: string][] = [
  ['src/core/reaches-edge.ts', `import '../postgres/stream.ts'`],
  ['src/core/reaches-ops.ts', `import type { X } from '../ops/log.ts'\nexport type Y = X`],
  ['src/core/reads-file.ts', `import { readFile } from 'node:fs/promises'\nexport const x = readFile`],
  ['src/core/uses-library.ts', `import { z } from 'zod'\nexport const x = z`],
  ['src/core/detour.ts', `import './../state/database.ts'`],
  ['src/core/clock.ts', 'export const now = performance.now()'],
  ['src/core/environment.ts', 'export const home = process.env.HOME'],
  ['src/core/phone.ts', `import '@marcbachmann/cel-js'`],
  ['src/core/expression.ts', `import 'libphonenumber-js'`],
  ['src/core/expression.ts', `import 're2js'`],
  ['src/core/expression-pattern.ts', `import '@marcbachmann/cel-js'`],
  ['src/postgres/reaches-state.ts', `import '../state/database.ts'`],
  ['src/postgres/slot.ts', `import 'pg-logical-replication'`],
  ['src/postgres/uses-kysely.ts', `import 'kysely'`],
  ['src/state/reaches-source.ts', `import '../postgres/stream.ts'`],
  ['src/state/uses-undici.ts', `import 'undici'`],
  ['src/suprsend/reaches-sync.ts', `import '../sync/deliver.ts'`],
  ['src/suprsend/uses-pg.ts', `import 'pg'`],
  ['src/sync/reaches-edge.ts', `import '../state/database.ts'`],
  ['src/sync/reaches-lazily.ts', `export const load = () => import('../suprsend/client.ts')`],
  ['src/sync/reaches-ops.ts', `import '../ops/log.ts'`],
  ['src/ops/reaches-sync.ts', `export * from '../sync/service.ts'`],
  ['src/ops/progress.ts', `import 'prom-client'`],
  ['src/ops/metrics.ts', `import 'fastify'`],
  ['src/emulator/reaches-client.ts', `import '../suprsend/client.ts'`],
  ['src/emulator/validation.ts', `import 'libphonenumber-js'`],
  ['src/demo/reaches-sync.ts', `import '../sync/service.ts'`],
  ['src/config/reaches-ops.ts', `import '../ops/log.ts'`],
  ['src/commands/uses-undici.ts', `import 'undici'`],
  ['src/commands/uses-fastify.ts', `import 'fastify'`],
  ['src/main.ts', `import './ops/log.ts'`],
]

const allowed: readonly [file: string, source: string][] = [
  ['src/core/fine.ts', `import 'node:crypto'\nimport './lsn.ts'`],
  ['src/core/abort.ts', `import 'node:timers/promises'`],
  [
    'src/postgres/stream.ts',
    `import 'pg-logical-replication'\nimport 'pg'\nimport '../core/lsn.ts'\nimport './decode.ts'`,
  ],
  ['src/state/database.ts', `import 'kysely'\nimport 'pg'\nimport 'node:fs/promises'\nimport '../core/lsn.ts'`],
  ['src/suprsend/client.ts', `import 'undici'\nimport '../core/api.ts'`],
  ['src/sync/deliver.ts', `import '../core/plan.ts'\nimport './capture.ts'`],
  ['src/ops/http.ts', `import 'fastify'\nimport '../core/logger.ts'`],
  ['src/emulator/server.ts', `import 'fastify'\nimport '../core/api.ts'`],
  ['src/commands/run.ts', `import 'commander'\nimport '../sync/service.ts'\nimport '../postgres/stream.ts'`],
  ['test/unit/anything.test.ts', `import '../../src/state/database.ts'\nimport 'undici'`],
]

let directory: string
let refused: ReadonlySet<string>

beforeAll(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'suprsync-boundaries-')))
  await cp(join(root, 'biome.json'), join(directory, 'biome.json'))
  for (const [file, source] of [...forbidden, ...allowed]) {
    await mkdir(join(directory, dirname(file)), { recursive: true })
    await writeFile(join(directory, file), `${source}\n`)
  }
  const rules = ['--only=style/noRestrictedImports', '--only=style/noRestrictedGlobals']
  const args = ['lint', '--reporter=github', '--max-diagnostics=none', ...rules, '.']
  // It fails, as it should; only what it wrote counts.
  const { stdout } = await promisify(execFile)(join(root, 'node_modules/.bin/biome'), args, { cwd: directory }).catch(
    (failure: { readonly stdout: string }) => failure,
  )
  refused = new Set(
    Array.from(stdout.matchAll(/noRestricted\w+,file=([^,]+),/g), ([, file]) => relative(directory, file ?? '')),
  )
})

afterAll(() => rm(directory, { recursive: true, force: true }))

test.each(forbidden)('%s is refused', (file) => {
  expect(refused).toContain(file)
})

test.each(allowed)('%s passes', (file) => {
  expect(refused).not.toContain(file)
})
