// The file as a tree with positions: YAML (or JSON) text → plain values with their variables replaced, and for each path
// the line and column it stands at. Owns syntax errors, duplicate keys and missing variables; meaning is in schema.ts.
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type Scalar,
  visit,
} from 'yaml'
import { type Environment, interpolate } from './interpolation.ts'
import type { ConfigProblem } from './problem.ts'
import { COMMA_IN_BRACES, closesBracket, opensBracket, quotingHint } from './yaml-hint.ts'

export type Path = readonly PropertyKey[]

export interface Place {
  readonly line: number
  readonly column: number
  readonly path: string
  /** The environment variables that stand in the value. */
  readonly variables: readonly string[]
  /** The text of the value before they were replaced; empty where none stand in it. */
  readonly written: string
  /** The value already has a problem of its own: what else is said about it would only follow from that. */
  readonly isReported: boolean
}

export interface ConfigDocument {
  readonly value: unknown
  readonly problems: readonly ConfigProblem[]
  /** Of a value, or (`at: 'key'`) of its key; where the path ends early, of what contains it. */
  readonly locate: (path: Path, at?: 'key' | 'value') => Place
  /** `9:12`, by each path as problems show it. */
  readonly places: ReadonlyMap<string, string>
}

export function parseConfigDocument(input: {
  readonly file: string
  readonly text: string
  readonly env: Environment
}):
  | { readonly kind: 'ok'; readonly document: ConfigDocument }
  | { readonly kind: 'invalid'; readonly problems: readonly ConfigProblem[] } {
  const { file, text, env } = input
  const lines = new LineCounter()
  const tree = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: isOneKey })
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return { file, line: Math.max(1, line), column: Math.max(1, col) }
  }
  // A key that stands twice leaves a tree that can be read: the last one counts, and the other problems are seen as well.
  const twice = tree.errors
    .filter(({ code }) => code === 'DUPLICATE_KEY')
    .map(({ pos }) => ({ ...at(pos[0]), path: '', message: 'this key stands here twice' }))
  const syntax = syntaxProblems(tree, text, at)
  if (syntax.length === 0) {
    const cut = commaProblems(tree, at)
    syntax.push(...aliasProblems(tree, at), ...keyProblems(tree, at), ...cut, ...jsonProblems(file, text))
  }
  if (syntax.length > 0) return { kind: 'invalid', problems: [...syntax, ...twice] }

  const replacements = new Map<unknown, Pick<Place, 'variables' | 'written'>>()
  const broken = new Set<unknown>()
  const problems: ConfigProblem[] = [...twice]
  visit(tree, {
    Scalar(key, node, ancestors) {
      // As it is written: `map: {007: …}` means the text 007, which YAML reads as the number 7.
      if (key === 'key') node.value = textOf(node)
      if (key !== 'key' && typeof node.value === 'number' && !isExact(node.value, node.source ?? '')) {
        broken.add(node)
        const path = pathOf([...ancestors, node])
        problems.push({ ...at(node.range?.[0] ?? 0), path, message: TOO_MANY_DIGITS })
      }
      if (key === 'key' || typeof node.value !== 'string') return
      const written = node.value
      const replaced = interpolate(written, env)
      node.value = replaced.text
      const { variables } = replaced
      if (variables.length > 0) replacements.set(node, { variables, written })
      if (replaced.problems.length > 0) broken.add(node)
      const path = pathOf([...ancestors, node])
      for (const message of replaced.problems) problems.push({ ...at(node.range?.[0] ?? 0), path, message })
    },
  })
  const locate = (path: Path, which: 'key' | 'value' = 'value'): Place => {
    const { offset, node, shown } = find(tree, path, which)
    const { line, column } = at(offset)
    const { variables, written } = replacements.get(node) ?? NOTHING_REPLACED
    return { line, column, path: shown, variables, written, isReported: broken.has(node) }
  }
  const value = plainValue(tree)
  if (value === undefined) {
    const message = 'aliases of aliases make too much of this file'
    return { kind: 'invalid', problems: [{ ...at(0), path: '', message }] }
  }
  return { kind: 'ok', document: { value, problems, locate, places: placesOf(tree, at) } }
}

const NOTHING_REPLACED: Pick<Place, 'variables' | 'written'> = { variables: [], written: '' }

/** For several hundred keys that share a source, and not for a file that grows to gigabytes. */
const MAX_ALIASES = 10_000

/** Undefined: it holds more than that. */
function plainValue(tree: Document.Parsed): unknown {
  try {
    return tree.toJS({ maxAliasCount: MAX_ALIASES }) ?? null
  } catch (error) {
    if (error instanceof ReferenceError) return undefined
    throw error
  }
}

const TOO_MANY_DIGITS = 'this number has more digits than JavaScript holds; quote it, and it stays as it is'

/** Whether a number in decimal digits is what it was read as; of others nothing is said. */
function isExact(value: number, source: string): boolean {
  const written = significant(source)
  return written === null || written === significant(String(value))
}

/** `-001.50e3` → `15e2`; null: not in decimal digits. */
function significant(text: string): string | null {
  const [, whole, fraction = '', exponent = '0'] = /^[-+]?(\d*)(?:\.(\d*))?(?:e([-+]?\d+))?$/i.exec(text) ?? []
  if (whole === undefined || whole + fraction === '') return null
  const digits = (whole + fraction).replace(/^0+/, '')
  const ended = digits.replace(/0+$/, '')
  return ended === '' ? '0' : `${ended}e${Number(exponent) - fraction.length + digits.length - ended.length}`
}

function textOf({ value, source }: Scalar): string {
  return typeof value === 'string' ? value : (source ?? String(value))
}

function isOneKey(a: unknown, b: unknown): boolean {
  return a === b || (isScalar(a) && isScalar(b) && textOf(a) === textOf(b))
}

/** Only the first error: the others follow from it. A warning is a tag that YAML does not know: what it means would not happen. */
function syntaxProblems(tree: Document.Parsed, text: string, at: At): ConfigProblem[] {
  const [first] = tree.errors.filter(({ code }) => code !== 'DUPLICATE_KEY')
  return [...(first === undefined ? [] : [first]), ...tree.warnings].map(({ code, message, pos }) => {
    const place = at(pos[0])
    const hint = quotingHint(code, text.split('\n')[place.line - 1] ?? '', place.column)
    // The library ends with the text that it stumbled over, which may be a credential (P8).
    return { ...place, path: '', message: hint ?? message.replace(/: ".*"$/s, '') }
  })
}

type At = (offset: number) => { readonly file: string; readonly line: number; readonly column: number }

function aliasProblems(tree: Document.Parsed, at: At): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  visit(tree, {
    Alias(_key, node, ancestors) {
      const anchored = node.resolve(tree)
      if (anchored !== undefined && !ancestors.includes(anchored)) return
      const what = anchored === undefined ? 'is not defined' : 'holds itself'
      problems.push({ ...at(node.range?.[0] ?? 0), path: '', message: `the anchor &${node.source} ${what}` })
    },
  })
  return problems
}

const NO_MERGE = '`<<` does not merge here: repeat the keys, or give a whole mapping an anchor and use it as it is'

/** `? [a, b]` and `{{x}}`: a template that was not filled in, more often than not. `<<`: YAML 1.2 has none. */
function keyProblems(tree: Document.Parsed, at: At): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  visit(tree, {
    Pair(_key, { key }) {
      const isMerge = isScalar(key) && key.value === '<<'
      if (!isMerge && !isMap(key) && !isSeq(key)) return undefined
      const message = isMerge ? NO_MERGE : 'a key must be a text, not a list or a mapping'
      problems.push({ ...at(key.range?.[0] ?? 0), path: '', message })
      return visit.SKIP
    },
  })
  return problems
}

/** `{value: coalesce(a, b)}` is read as the keys `value` and `b)`. */
function commaProblems(tree: Document.Parsed, at: At): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  visit(tree, {
    Map(_key, { flow, items }) {
      if (flow !== true) return
      const isCut = items.some(({ key, value }) => isPlain(key) && closesBracket(textOf(key)) && isEmpty(value))
      const cut = items.map(({ value }) => value).find((value) => isPlain(value) && opensBracket(textOf(value)))
      if (isCut && isPlain(cut)) problems.push({ ...at(cut.range?.[0] ?? 0), path: '', message: COMMA_IN_BRACES })
    },
  })
  return problems
}

function isPlain(node: unknown): node is Scalar {
  return isScalar(node) && node.type === 'PLAIN'
}

function isEmpty(value: unknown): boolean {
  return value === null || (isScalar(value) && value.value === null)
}

/** YAML reads more than JSON (comments, trailing commas); in a file that says it is JSON those are mistakes. */
function jsonProblems(file: string, text: string): ConfigProblem[] {
  if (!file.endsWith('.json')) return []
  try {
    JSON.parse(text)
    return []
  } catch (error) {
    const message = error instanceof Error ? error.message : ''
    // Sample: Expected double-quoted property name in JSON at position 9 (line 2 column 3). The message may quote the text.
    const place = /\(line (\d+) column (\d+)\)/.exec(message)
    return [
      { file, line: Number(place?.[1] ?? 1), column: Number(place?.[2] ?? 1), path: '', message: 'this is not JSON' },
    ]
  }
}

function placesOf(tree: Document.Parsed, at: At): ReadonlyMap<string, string> {
  const places = new Map<string, string>()
  visit(tree, {
    Node(key, node, ancestors) {
      if (key === 'key') return
      const { line, column } = at(node.range?.[0] ?? 0)
      places.set(pathOf([...ancestors, node]), `${line}:${column}`)
    },
  })
  return places
}

/** Walks as far as the file goes. What a short form leaves out is skipped: `email` stands for `[{column: email}]`. */
function find(tree: Document.Parsed, path: Path, which: 'key' | 'value') {
  let node: Node | null | undefined = tree.contents
  let offset = node?.range?.[0] ?? 0
  let shown = ''
  for (const [depth, segment] of path.entries()) {
    if (isAlias(node)) node = node.resolve(tree)
    if (isSeq(node) && typeof segment === 'number') {
      node = node.items[segment] as Node | undefined
      shown += `[${segment}]`
    } else if (typeof segment !== 'number' && !isScalar(node)) {
      const name = String(segment)
      shown += shown === '' ? name : `.${name}`
      const pair = isMap(node)
        ? node.items.findLast(({ key }) => isScalar(key) && String(key.value) === name)
        : undefined
      // A missing key is reported where it should stand: at the mapping's own key.
      if (pair === undefined) return { offset, node: null, shown }
      const key = pair.key as Node
      offset = key.range?.[0] ?? offset
      if (which === 'key' && depth === path.length - 1) return { offset, node: key, shown }
      node = pair.value as Node | null
    }
    if (depth === path.length - 1) offset = node?.range?.[0] ?? offset
  }
  // What an alias stands for: its variables, too, are those of the anchor.
  return { offset, node: isAlias(node) ? node.resolve(tree) : node, shown }
}

function pathOf(ancestors: readonly unknown[]): string {
  let path = ''
  for (const [index, ancestor] of ancestors.entries()) {
    const child = ancestors[index + 1]
    if (isSeq(ancestor)) path += `[${ancestor.items.indexOf(child)}]`
    // Between a mapping and its value stands the pair.
    else if (typeof ancestor === 'object' && ancestor !== null && 'key' in ancestor && isScalar(ancestor.key)) {
      path += `${path === '' ? '' : '.'}${String(ancestor.key.value)}`
    }
  }
  return path
}
