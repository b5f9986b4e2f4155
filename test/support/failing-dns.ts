// Preloaded into the service (`--import`): the name `db.test` leads to this machine, and to nowhere while the file exists that
// FAILING_DNS names; as a resolver answers that is reached and knows no such name.
import dns from 'node:dns'
import { existsSync } from 'node:fs'

const lookup = dns.lookup
dns.lookup = ((host: string, ...rest: unknown[]) => {
  const callback = rest.at(-1) as (error: Error) => void
  if (host !== 'db.test') return Reflect.apply(lookup, dns, [host, ...rest])
  if (!existsSync(process.env.FAILING_DNS ?? '')) return Reflect.apply(lookup, dns, ['127.0.0.1', ...rest])
  const error = Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND', syscall: 'getaddrinfo' })
  process.nextTick(() => callback(error))
}) as typeof dns.lookup
