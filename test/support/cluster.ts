// A PostgreSQL server of a test's own, for tests that stop, kill or reconfigure it or need another major. Always the
// embedded programs: Docker and TEST_POSTGRES_URL give servers that a test must not touch.
export { Cluster, type ClusterOptions, type StopMode, startCluster } from '../../src/demo/embedded-postgres.ts'
export { installedMajors, type Major } from '../../src/demo/postgres-binaries.ts'
