// Name and version of the program, from package.json beside src/ and dist/.
import { readFileSync } from 'node:fs'
import { z } from 'zod'

const packageSchema = z.object({ version: z.string() })

export function version(): string {
  return packageSchema.parse(JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))).version
}

export function userAgent(): string {
  return `suprsync/${version()}`
}
