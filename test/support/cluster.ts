// A PostgreSQL server of a test's own, for tests that stop, kill or reconfigure it. Always the embedded programs: Docker
// and TEST_POSTGRES_URL give servers that a test must not touch. TEST_POSTGRES_MAJOR (14 to 18) runs the whole suite on
// another major, whose programs SUPRSYNC_POSTGRES_<major> may name.
import {
  type Cluster,
  type ClusterOptions,
  startCluster as startEmbeddedCluster,
} from '../../src/demo/embedded-postgres.ts'
import { MAJORS, type Major } from '../../src/demo/postgres-binaries.ts'

export type { Cluster, ClusterOptions, StopMode } from '../../src/demo/embedded-postgres.ts'
export { installedMajors, type Major } from '../../src/demo/postgres-binaries.ts'

export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  return startEmbeddedCluster({ major: chosenMajor(), ...options })
}

function chosenMajor(): Major {
  const asked = process.env.TEST_POSTGRES_MAJOR ?? '18'
  const major = MAJORS.find((candidate) => String(candidate) === asked)
  if (major === undefined) throw new Error(`TEST_POSTGRES_MAJOR is none of ${MAJORS.join(', ')}`)
  return major
}
