// A process that owns a cluster and waits to be killed: see embedded-postgres.test.ts.
import { startCluster } from '../../src/demo/embedded-postgres.ts'

const cluster = await startCluster()
process.send?.({ pid: cluster.pid, dataDir: cluster.dataDir })
