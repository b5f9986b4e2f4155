// What delivery is compared with: a loop that POSTs the same bodies through undici with the same connections, and nothing
// else: no database, no plan, no record. Prints one line of JSON.
// node bench/bare-loop.ts <url> <requests> <connections>
import { Pool } from 'undici'
import { profileBody } from './profile-body.ts'

const [url, count, connections] = process.argv.slice(2)
if (!url || !count || !connections) throw new Error('usage: bare-loop url requests connections')
const pool = new Pool(url, { connections: Number(connections), pipelining: 1 })
const headers = { authorization: 'Bearer bench', 'content-type': 'application/json' }
let next = 0
const startedAt = performance.now()
async function loop(): Promise<void> {
  while (next < Number(count)) {
    const id = next
    next += 1
    const { body } = await pool.request({ method: 'POST', path: `/v1/user/${id}/`, headers, body: profileBody(id) })
    await body.dump()
  }
}
await Promise.all(Array.from({ length: Number(connections) }, loop))
const seconds = (performance.now() - startedAt) / 1000
process.stdout.write(`${JSON.stringify({ seconds, rssMb: Math.round(process.resourceUsage().maxRSS / 1024) })}\n`)
await pool.close()
