// Builds what the demo plays on: an embedded PostgreSQL with the application's database, the emulator, the application and
// whoever watches both ends. Guarantees that disposing takes all of it away again. The mapping comes in from outside: it is
// the service's own, so that the demo cannot have another idea of it.
import type { Pool } from 'pg'
import type { MappedRow } from '../core/mapping.ts'
import type { TextRow } from '../core/row.ts'
import { type Emulator, startEmulator } from '../emulator/emulator.ts'
import { Application } from './application.ts'
import { createDatabase } from './database.ts'
import { type Cluster, startCluster } from './embedded-postgres.ts'
import { Ledger } from './ledger.ts'
import { Narrator } from './narrator.ts'
import { seededChance } from './people.ts'
import type { Screen } from './screen.ts'

/** Any would do; it must be presented. */
export const API_KEY = 'demo-key'

export interface DemoMapping {
  /** The columns that `map` wants, in its order. */
  readonly columns: readonly string[]
  readonly map: (row: TextRow) => MappedRow
}

/** Asked once, when the application's table is there. */
export type MappingMaker = (pool: Pool) => Promise<DemoMapping>

export interface Stage extends AsyncDisposable {
  readonly cluster: Cluster
  readonly ownerUrl: string
  readonly serviceUrl: string
  readonly emulator: Emulator
  readonly application: Application
  readonly ledger: Ledger
  readonly narrator: Narrator
  readonly screen: Screen
  readonly map: DemoMapping['map']
}

export async function buildStage(options: {
  readonly screen: Screen
  readonly mappingFor: MappingMaker
}): Promise<Stage> {
  const { screen, mappingFor } = options
  await using building = new AsyncDisposableStack()
  screen.meanwhile('starting PostgreSQL')
  const startedAt = performance.now()
  // `fresh`: the cached template of the tests would stay on the disk.
  const cluster = building.use(await startCluster({ fresh: true, settings: { max_slot_wal_keep_size: '1GB' } }))
  const database = building.use(await createDatabase(cluster))
  const { columns, map } = await mappingFor(database.pool)
  const ledger = new Ledger()
  const narrator = new Narrator({ screen, ledger, map })
  const emulator = building.use(
    await startEmulator({
      apiKey: API_KEY,
      onRequest: (line) => {
        const { distinctId, method } = line
        // The service asks for one that cannot exist, to try the key; reads change nobody.
        if (distinctId === null || method === 'GET') return
        const now = performance.timeOrigin + performance.now()
        narrator.called({ ...line, distinctId }, emulator.history(distinctId).at(-1), now)
      },
    }),
  )
  screen.done(
    `PostgreSQL ${cluster.major} on 127.0.0.1:${cluster.port}`,
    `an application's database (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`,
  )
  screen.done(`SuprSend emulator on ${emulator.url}`, 'stands in for hub.suprsend.com')
  const application = new Application(database.pool, { chance: seededChance(7), columns })
  const kept = building.move()
  const { ownerUrl, serviceUrl } = database
  return {
    ...{ cluster, ownerUrl, serviceUrl, emulator, application, ledger, narrator, screen, map },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}
