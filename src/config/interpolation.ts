// ${VAR} and ${VAR:-default} in the scalars of the configuration, as a shell reads them: the default also stands in for
// an empty variable, and may hold further references. $${ is a literal ${. What a variable holds is never read again, so
// a password may contain anything.

export interface Interpolated {
  readonly text: string
  /** Variables that were asked for, for messages. */
  readonly variables: readonly string[]
  readonly problems: readonly string[]
}

export type Environment = { readonly [name: string]: string | undefined }

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/

export function interpolate(text: string, env: Environment): Interpolated {
  if (!text.includes('${')) return { text, variables: [], problems: [] }
  const reader = new ReferenceReader(text, env)
  return { text: reader.readText(false), variables: [...reader.variables], problems: reader.problems }
}

class ReferenceReader {
  readonly variables = new Set<string>()
  readonly problems: string[] = []
  readonly #text: string
  readonly #env: Environment
  #at = 0
  /** Above 0 inside a default that is not used: read for its end, not for its variables. */
  #unused = 0

  constructor(text: string, env: Environment) {
    this.#text = text
    this.#env = env
  }

  /** Up to the end, or to the `}` that closes the default this text stands in. */
  readText(isDefault: boolean): string {
    let result = ''
    while (this.#at < this.#text.length) {
      if (isDefault && this.#text[this.#at] === '}') return result
      if (this.#text.startsWith('$${', this.#at)) {
        result += '${'
        this.#at += 3
      } else if (this.#text.startsWith('${', this.#at)) {
        result += this.#readReference()
      } else {
        result += this.#text[this.#at++]
      }
    }
    return result
  }

  #readReference(): string {
    const from = this.#at + 2
    const end = this.#text.slice(from).search(/:-|\}/)
    const name = end < 0 ? '' : this.#text.slice(from, from + end)
    if (end < 0 || !NAME.test(name)) {
      this.#at = end < 0 ? this.#text.length : from + end + 1
      this.#report(end < 0 ? 'a ${ is never closed; write $${ for a literal ${' : 'expected a variable name after ${')
      return ''
    }
    this.#at = from + end
    const value = this.#env[name]
    const isSet = value !== undefined && value !== ''
    if (this.#unused === 0) this.variables.add(name)
    if (this.#text[this.#at] === '}') {
      this.#at++
      if (value === undefined) this.#report(`the environment variable ${name} is not set`)
      return value ?? ''
    }
    this.#at += 2
    if (isSet) this.#unused++
    const fallback = this.readText(true)
    if (this.#text[this.#at] === '}') this.#at++
    else this.#report(`the default of \${${name}:- is never closed by }`)
    if (isSet) this.#unused--
    return isSet ? value : fallback
  }

  #report(problem: string): void {
    // A broken reference is reported wherever it stands; a missing variable only where it is used.
    if (this.#unused === 0 || !problem.startsWith('the environment')) this.problems.push(problem)
  }
}
