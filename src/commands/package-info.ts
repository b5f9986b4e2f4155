// Name, version and description of the program, from the package.json beside src/ and dist/.
import { readFileSync } from 'node:fs'

export function packageInfo(): { readonly description: string; readonly version: string } {
  const info: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  const text = (name: string) => String(Reflect.get(Object(info), name))
  return { description: text('description'), version: text('version') }
}

export function userAgent(): string {
  return `suprsync/${packageInfo().version}`
}
