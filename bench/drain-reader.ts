// Drains a slot with the library alone, as the ceiling of what capture can reach: `raw` throws the bytes away, `decoder`
// runs the library's own pgoutput decoder with an empty handler. Prints one line of JSON.
// node bench/drain-reader.ts raw|decoder <url> <slot> <until-lsn>
import { LogicalReplicationService, PgoutputPlugin } from 'pg-logical-replication'
import { parseLsn } from '../src/core/lsn.ts'

const [kind, url, slot, until] = process.argv.slice(2)
if (!kind || !url || !slot || !until) throw new Error('usage: drain-reader raw|decoder url slot lsn')
const target = parseLsn(until)
const service = new LogicalReplicationService(
  { connectionString: url },
  { acknowledge: { auto: false, timeoutSeconds: 0 }, flowControl: { enabled: kind === 'decoder' } },
)
const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: ['bench'] })
if (kind === 'raw') {
  Object.assign(plugin, { parse: () => null })
}
const { promise: done, resolve } = Promise.withResolvers<void>()
const startedAt = performance.now()
service.on('data', (lsn: string) => {
  if (parseLsn(lsn) >= target) resolve()
})
service.on('heartbeat', (lsn: string) => {
  if (parseLsn(lsn) >= target) resolve()
})
service.on('error', () => undefined)
const subscribed = service.subscribe(plugin, slot).catch(() => undefined)
await done
const seconds = (performance.now() - startedAt) / 1000
process.stdout.write(`${JSON.stringify({ seconds, rssMb: Math.round(process.resourceUsage().maxRSS / 1024) })}\n`)
void subscribed
process.exit(0)
