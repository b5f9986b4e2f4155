// Regular expressions of `matches`: RE2's, as CEL has them (https://github.com/google/re2/wiki/Syntax), in time linear in the text.
// JavaScript's own go back and try again: `^(a+)+$` takes seconds on 28 letters, and nothing else runs meanwhile. The only file
// that imports re2js.
import { RE2JS } from 're2js'

export interface Pattern {
  readonly test: (text: string) => boolean
}

/** `why` in RE2's words, without the pattern: part of it may come from the environment (P8). */
export function compilePattern(source: string): Pattern | { readonly why: string } {
  try {
    const compiled = RE2JS.compile(source)
    return { test: (text) => compiled.test(text) }
  } catch (error) {
    // Sample: error parsing regexp: missing closing ): `(a`
    return { why: error instanceof Error ? error.message.replace(/: `.*`$/s, '') : 'it cannot be read' }
  }
}
