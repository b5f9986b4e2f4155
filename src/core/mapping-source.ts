// One source of a mapped value, compiled against the table: whether it counts for a row, where its value comes from, and what
// it passes on the way: `when`, from, `map`, `default`, formats, the shape of its channel. What a key does with the values is
// in mapping.ts. Adds a reason for each value that is left out; never throws, whatever the row holds.
import { BoundedCache } from './bounded-cache.ts'
import { checkChannelValue, PROVIDERS } from './channel-shape.ts'
import type { ChannelValues } from './channel-values.ts'
import type { Evaluated } from './expression.ts'
import { applyFormat, type FormatContext, type Formatted } from './formats.ts'
import { isJsonObject, type Json, type JsonObject } from './json.ts'
import { isStorable } from './json-text.ts'
import type { Format, From, Source, TextSource } from './mapping-spec.ts'
import { type ChannelKey, type ChannelValue, isChannelKey, MAX_VALUES, type Reason } from './profile.ts'
import type { ColumnType, TextRow } from './row.ts'
import { holdsSecretMark, isSecretReference } from './secret-reference.ts'
import { parseValue } from './values.ts'

/** Index in the row and type of a column; null when the mapping may not read it (the caller has noted why). */
export type ColumnLookup = (column: string) => { readonly index: number; readonly type: ColumnType } | null

export interface SourceCompiler {
  readonly column: ColumnLookup
  /** Null when it does not fit the table (the caller has noted why). */
  readonly expression: (text: string, at: 'when' | 'value') => ((row: TextRow) => Evaluated) | null
}

/** Formats that cost microseconds: a phone number 5 to 10, a locale 2. */
const COSTLY: ReadonlySet<Format> = new Set(['e164', 'locale'])
/** Numbers in each of two generations: at most about 8 MB a source. */
const CACHE_CAPACITY = 16_384

type Read = (row: TextRow, reasons: Reason[]) => Json
type Text = (row: TextRow) => string | null

export class CompiledSource {
  readonly #key: string
  readonly #when: ((row: TextRow) => Evaluated) | null
  readonly #read: Read
  readonly #default: Json
  readonly #map: ReadonlyMap<string, Json> | null
  readonly #formats: readonly Format[]
  readonly #region: FormatContext
  readonly #regionIndex: number
  readonly #provider: Text | null
  readonly #bundleId: Text | null
  readonly #cache: BoundedCache<Formatted> | null
  /** A row's own JSON may not pass for a secret; a constant may be one. */
  readonly #isOfRow: boolean
  readonly #parses: boolean

  constructor(key: string, source: Source, compiler: SourceCompiler) {
    this.#key = key
    this.#when = source.when === null ? null : (compiler.expression(source.when, 'when') ?? null)
    this.#read = this.#reader(source.from, compiler)
    this.#isOfRow = source.from.kind === 'column' || source.from.kind === 'value'
    this.#parses = source.formats.includes('json')
    this.#default = source.default
    this.#map = source.map === null ? null : withNumbers(source.map)
    this.#formats = source.formats
    this.#region = { region: source.region?.kind === 'const' ? source.region.value : null }
    this.#regionIndex = source.region?.kind === 'column' ? (compiler.column(source.region.column)?.index ?? -1) : -1
    this.#provider = textOf(source.provider, compiler)
    this.#bundleId = textOf(source.bundleId, compiler)
    this.#cache = source.formats.some((format) => COSTLY.has(format)) ? new BoundedCache(CACHE_CAPACITY) : null
  }

  /** The one value of a property; null = absent. A value left out adds its reason. */
  readOne(row: TextRow, reasons: Reason[]): Json {
    if (!this.#counts(row, reasons)) return null
    const value = this.#read(row, reasons) ?? null
    if (value === null) return this.#format(this.#default, row, reasons)
    if (this.#map === null) return this.#formatOwn(value, row, reasons)
    const mapped = Array.isArray(value)
      ? value.map((item: Json) => this.#mapped(item, reasons))
      : this.#mapped(value, reasons)
    return this.#formatOwn(mapped, row, reasons)
  }

  /** Adds the values of a channel that `values` lacks: a list (array column, jsonb array) gives each of its items. */
  readMany(row: TextRow, reasons: Reason[], values: ChannelValues): void {
    if (!this.#counts(row, reasons)) return
    const value = this.#read(row, reasons) ?? null
    if (value !== null) this.#addEach(value, { depth: 0, isMapped: false }, row, { reasons, values })
    else if (this.#default !== null)
      this.#addEach(this.#default, { depth: 0, isMapped: true }, row, { reasons, values })
  }

  #addEach(
    value: Json,
    { depth, isMapped }: { readonly depth: number; readonly isMapped: boolean },
    row: TextRow,
    into: { readonly reasons: Reason[]; readonly values: ChannelValues },
  ): void {
    // PostgreSQL's arrays have at most six dimensions; deeper JSON is no list of addresses.
    if (Array.isArray(value) && depth < 6) {
      for (const item of value) this.#addEach(item, { depth: depth + 1, isMapped }, row, into)
      return
    }
    const { reasons, values } = into
    if (values.isFull()) {
      if (value !== null) leaveOut(reasons, this.#key, TOO_MANY)
      return
    }
    const formatted = isMapped
      ? this.#format(value, row, reasons)
      : this.#formatOwn(this.#mapped(value, reasons), row, reasons)
    if (formatted === null || !isChannelKey(this.#key)) return
    const checked = checkChannelValue(this.#key, formatted)
    if (checked.kind === 'invalid') return leaveOut(reasons, this.#key, checked)
    const whole = this.#withProvider(this.#key, checked.value, row, reasons)
    if (whole !== null) values.add(whole)
  }

  /** An expression that fails says nothing about the value: it is left out, with its reason. */
  #counts(row: TextRow, reasons: Reason[]): boolean {
    if (this.#when === null) return true
    const result = this.#when(row)
    if (result.kind === 'value' && (result.value === null || typeof result.value === 'boolean'))
      return result.value === true
    const code = result.kind === 'failed' ? result.code : 'not_a_boolean'
    leaveOut(reasons, this.#key, { code: 'when_failed', message: `its when failed on this row (${code})` })
    return false
  }

  #reader(from: From, compiler: SourceCompiler): Read {
    switch (from.kind) {
      case 'const':
        return () => from.value
      case 'column': {
        const column = compiler.column(from.column)
        return column === null ? () => null : (row, reasons) => this.#parsed(column, row, reasons)
      }
      case 'value': {
        const evaluate = compiler.expression(from.expression, 'value')
        return evaluate === null ? () => null : (row, reasons) => this.#evaluated(evaluate(row), reasons)
      }
      case 'object': {
        const fields = [...from.fields].map(
          ([name, source]) => [name.split('.'), new CompiledSource(this.#key, source, compiler)] as const,
        )
        return (row, reasons) => assembled(fields, row, reasons)
      }
    }
  }

  #parsed(column: { readonly index: number; readonly type: ColumnType }, row: TextRow, reasons: Reason[]): Json {
    const text = row[column.index]
    if (text === null || text === undefined) return null
    const parsed = parseValue(column.type, text)
    if (parsed.kind === 'value') return parsed.value
    leaveOut(reasons, this.#key, parsed)
    return null
  }

  #evaluated(result: Evaluated, reasons: Reason[]): Json {
    if (result.kind === 'value') return result.value
    leaveOut(reasons, this.#key, { code: 'value_failed', message: `its value failed on this row (${result.code})` })
    return null
  }

  #mapped(value: Json, reasons: Reason[]): Json {
    if (this.#map === null || value === null) return value
    const text = typeof value === 'string' ? value : typeof value === 'object' ? null : JSON.stringify(value)
    const asNumber = typeof value === 'number' ? this.#map.get(NUMBER + text) : undefined
    const to = text === null ? undefined : (this.#map.get(text) ?? asNumber)
    if (to !== undefined) return to
    if (this.#default === null) leaveOut(reasons, this.#key, NOT_IN_MAP)
    return this.#default
  }

  /** What the row itself holds: it may be unfit to be stored, or pass itself off as a secret. */
  #formatOwn(value: Json, row: TextRow, reasons: Reason[]): Json {
    return value === this.#default || this.#isFit(value, reasons) ? this.#format(value, row, reasons) : null
  }

  #isFit(value: Json, reasons: Reason[]): boolean {
    if (!isStorable(value)) leaveOut(reasons, this.#key, NOT_STORABLE)
    else if (this.#isOfRow && typeof value === 'object' && holdsSecretMark(value)) {
      leaveOut(reasons, this.#key, RESERVED_KEY)
    } else return true
    return false
  }

  #format(value: Json, row: TextRow, reasons: Reason[]): Json {
    if (value === null || this.#formats.length === 0 || isSecretReference(value)) return value
    const context = this.#regionIndex < 0 ? this.#region : { region: row[this.#regionIndex] ?? null }
    const formatted =
      this.#cache === null || typeof value !== 'string'
        ? this.#applyAll(value, context)
        : this.#applyCached(this.#cache, value, context)
    if (formatted.kind === 'invalid') leaveOut(reasons, this.#key, formatted)
    // JSON in a text was only a text when it was looked at first.
    else if (!this.#parses || this.#isFit(formatted.value, reasons)) return formatted.value
    return null
  }

  #applyCached(cache: BoundedCache<Formatted>, value: string, context: FormatContext): Formatted {
    // NUL stands in neither part: isStorable saw to the value, and a region with one is only its own cache key.
    const key = context.region === null ? value : `${value}\0${context.region}`
    const known = cache.get(key)
    if (known !== undefined) return known
    const formatted = this.#applyAll(value, context)
    // Nobody's number is that long: a large text must not be what fills the memory.
    if (key.length <= 128) cache.set(key, formatted)
    return formatted
  }

  #applyAll(value: Json, context: FormatContext): Formatted {
    let current = value
    for (const format of this.#formats) {
      const formatted = applyFormat(format, current, context)
      if (formatted.kind === 'invalid' || formatted.value === null) return formatted
      current = formatted.value
    }
    return { kind: 'value', value: current }
  }

  /** A token of the channel's usual provider stays a text. */
  #withProvider(key: ChannelKey, value: ChannelValue, row: TextRow, reasons: Reason[]): ChannelValue | null {
    if (this.#provider === null && this.#bundleId === null) return value
    const known = PROVIDERS[key]
    const provider = this.#provider?.(row)?.toLowerCase() ?? null
    if (provider !== null && known !== undefined && !known.includes(provider)) {
      leaveOut(reasons, key, { code: 'invalid_provider', message: `the provider is none of ${known.join(', ')}` })
      return null
    }
    const bundle = this.#bundleId?.(row) ?? null
    if (bundle === null && (provider === null || provider === known?.[0])) return value
    return {
      value,
      ...(provider !== null && provider !== known?.[0] && { $id_provider: provider }),
      ...(bundle !== null && { $bundle_id: bundle }),
    }
  }
}

function textOf(source: TextSource | null, compiler: SourceCompiler): Text | null {
  if (source === null) return null
  if (source.kind === 'const') return () => source.value
  const index = compiler.column(source.column)?.index ?? -1
  return (row) => {
    const text = row[index]?.trim() ?? ''
    return text === '' ? null : text
  }
}

/** A number's text is JavaScript's: a map that names 007 or 1.50 as the database prints them means the numbers too. */
function withNumbers(map: ReadonlyMap<string, Json>): ReadonlyMap<string, Json> {
  const numbers = [...map].flatMap(([text, to]): [string, Json][] => {
    const number = /^\s*$/.test(text) ? Number.NaN : Number(text)
    return Number.isFinite(number) ? [[`${NUMBER}${number}`, to]] : []
  })
  // Of two that are one number the first counts, and what is written as JavaScript has it before both.
  return new Map([...numbers.toReversed(), ...map])
}

/** Before a number's text: no text that a map is asked for begins like that, for it could not be stored. */
const NUMBER = '\0'

/** NULL in one field = the whole value is absent; a subscription need not end. */
function assembled(
  fields: readonly (readonly [readonly string[], CompiledSource])[],
  row: TextRow,
  reasons: Reason[],
): Json {
  const value: Record<string, Json> = {}
  for (const [[name = '', member], source] of fields) {
    const part = source.readOne(row, reasons)
    if (part === null && name !== 'expirationTime') return null
    if (member === undefined) value[name] = part
    else value[name] = { ...(isJsonObject(value[name] ?? null) ? (value[name] as JsonObject) : {}), [member]: part }
  }
  return value
}

const NOT_STORABLE = {
  code: 'invalid_text',
  message: 'the text holds a NUL or half a surrogate pair, or is nested too deep, and cannot be stored as JSON',
}
const NOT_IN_MAP = { code: 'not_in_map', message: 'the value is none of those that its map names' }
const RESERVED_KEY = { code: 'reserved_key', message: 'the value has a key that is suprsync’s own' }
const TOO_MANY = {
  code: 'too_many_values',
  message: `the channel has more than ${MAX_VALUES} values, or ten times as many with unfit ones; the first ${MAX_VALUES} are kept`,
}

/** One reason per key and code: ten bad numbers in one list are one line for the operator. */
export function leaveOut(
  reasons: Reason[],
  key: string,
  why: { readonly code: string; readonly message: string },
): void {
  if (reasons.some((reason) => reason.key === key && reason.code === why.code)) return
  reasons.push({ key, code: why.code, message: why.message })
}
