// One source of a mapped value, compiled against the table: where in the row it stands, how its text is read and which
// formats it passes. Owns the way from a row's text to the values of a key; what a key does with them is in mapping.ts.
import { BoundedCache } from './bounded-cache.ts'
import { applyFormat, type FormatContext, type Formatted } from './formats.ts'
import type { Json } from './json.ts'
import { isStorable } from './json-text.ts'
import type { Format, Source } from './mapping-spec.ts'
import type { ChannelValue, Reason } from './profile.ts'
import type { ColumnType, TextRow } from './row.ts'
import { parseValue } from './values.ts'

/** Index in the row and type of a column; null when the mapping may not read it (the caller has noted why). */
export type ColumnLookup = (column: string) => { readonly index: number; readonly type: ColumnType } | null

/** Formats that cost microseconds: a phone number 5 to 10, a locale 2. */
const COSTLY: ReadonlySet<Format> = new Set(['e164', 'locale'])
/** Numbers in each of two generations: at most about 8 MB a source. */
const CACHE_CAPACITY = 16_384

/** Of one channel. Nobody has as many addresses: beyond it a list is a mistake, and planning and merging it would take minutes. */
const MAX_VALUES = 1_000

export class CompiledSource {
  readonly #key: string
  readonly #column: { readonly index: number; readonly type: ColumnType } | null
  readonly #constant: Json
  readonly #formats: readonly Format[]
  readonly #region: FormatContext
  readonly #regionIndex: number
  readonly #cache: BoundedCache<Formatted> | null

  constructor(key: string, source: Source, lookup: ColumnLookup) {
    this.#key = key
    this.#column = source.from.kind === 'column' ? lookup(source.from.column) : null
    this.#constant = source.from.kind === 'const' ? source.from.value : null
    this.#formats = source.formats
    this.#region = { region: source.region?.kind === 'const' ? source.region.value : null }
    this.#regionIndex = source.region?.kind === 'column' ? (lookup(source.region.column)?.index ?? -1) : -1
    this.#cache = source.formats.some((format) => COSTLY.has(format)) ? new BoundedCache(CACHE_CAPACITY) : null
  }

  /** The one value of a property; null = absent. A value left out adds its reason. */
  readOne(row: TextRow, reasons: Reason[]): Json {
    return this.#format(this.#read(row, reasons), row, reasons)
  }

  /** Adds the values of a channel that `values` lacks: a list (array column, jsonb array) gives each of its items. */
  readMany(row: TextRow, reasons: Reason[], values: Set<ChannelValue>): void {
    const value = this.#read(row, reasons)
    if (value !== null) this.#addEach(value, 0, row, reasons, values)
  }

  #addEach(value: Json, depth: number, row: TextRow, reasons: Reason[], values: Set<ChannelValue>): void {
    // PostgreSQL's arrays have at most six dimensions; deeper JSON is no list of addresses.
    if (Array.isArray(value) && depth < 6) {
      for (const item of value) this.#addEach(item, depth + 1, row, reasons, values)
      return
    }
    if (values.size >= MAX_VALUES) {
      if (value !== null) leaveOut(reasons, this.#key, TOO_MANY)
      return
    }
    const formatted = this.#format(value, row, reasons)
    if (formatted === null) return
    const text = typeof formatted === 'number' ? String(formatted) : formatted
    if (typeof text !== 'string') leaveOut(reasons, this.#key, NOT_AN_ADDRESS)
    else values.add(text)
  }

  #read(row: TextRow, reasons: Reason[]): Json {
    if (this.#column === null) return this.#constant
    const text = row[this.#column.index]
    if (text === null || text === undefined) return null
    const parsed = parseValue(this.#column.type, text)
    if (parsed.kind === 'value') return parsed.value
    leaveOut(reasons, this.#key, parsed)
    return null
  }

  #format(value: Json, row: TextRow, reasons: Reason[]): Json {
    if (value === null) return null
    if (!isStorable(value)) {
      leaveOut(reasons, this.#key, NOT_STORABLE)
      return null
    }
    if (this.#formats.length === 0) return value
    const context = this.#regionIndex < 0 ? this.#region : { region: row[this.#regionIndex] ?? null }
    const formatted =
      this.#cache === null || typeof value !== 'string'
        ? this.#applyAll(value, context)
        : this.#applyCached(this.#cache, value, context)
    if (formatted.kind === 'value') return formatted.value
    leaveOut(reasons, this.#key, formatted)
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
}

const NOT_STORABLE = {
  code: 'invalid_text',
  message: 'the text holds a NUL or half a surrogate pair, or is nested too deep, and cannot be stored as JSON',
}

const TOO_MANY = {
  code: 'too_many_values',
  message: `the channel has more than ${MAX_VALUES} values; the first ${MAX_VALUES} are kept`,
}

const NOT_AN_ADDRESS = {
  code: 'invalid_value',
  message: 'the value is an object or a boolean where a text was expected',
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
