// URLs and listen addresses of the configuration.
import type { HttpConfig } from './config.ts'

/** `postgres://…` or `postgresql://…`, as libpq takes them. */
export function isPostgresUrl(text: string): boolean {
  return /^postgres(?:ql)?:\/\//.test(text) && URL.canParse(text)
}

/** The database a URL means: its path, else (as libpq does) the user's name; null where neither is in it. */
export function databaseName(url: string): string | null {
  const { pathname, username, searchParams } = new URL(url)
  const name = searchParams.get('dbname') ?? (pathname.slice(1) || username)
  try {
    return decodeURIComponent(name) || null
  } catch {
    return name // A lone % is no escape: take it as it stands.
  }
}

/** One slot name a database, so that two deployments on one server do not meet. */
export function defaultSlotName(database: string | null): string {
  const name = (database ?? 'postgres').toLowerCase().replaceAll(/[^a-z0-9_]/g, '_')
  return `suprsync_${name}`.slice(0, 63)
}

/** http(s) without a trailing slash; null with credentials, query or fragment, which no request would carry. */
export function parseBaseUrl(text: string): string | null {
  if (!URL.canParse(text)) return null
  const url = new URL(text)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return null
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') return null
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

/** `127.0.0.1:9464`, `localhost:0`, `[::1]:9464`. */
export function parseListen(text: string): HttpConfig | null {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text.trim())
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  return host === undefined || port > 65_535 ? null : { host, port }
}
