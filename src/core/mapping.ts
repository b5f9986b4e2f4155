// A row of the users table → the profile that SuprSend should hold for it. Compiled once against the table, then a pure
// function of the row: the same row always gives the same profile, no text makes it throw, and a value that cannot be used
// is left out alone with its reason (never with the value, P8). NULL is absent.
import { compileExpression, type Evaluated, expressionColumns } from './expression.ts'
import type { Json } from './json.ts'
import { isLargerThan, isStorable } from './json-text.ts'
import { type ColumnLookup, CompiledSource, leaveOut } from './mapping-source.ts'
import type { ChildSpec, MappingSpec, Source, TableMapping } from './mapping-spec.ts'
import { suggestion } from './nearest.ts'
import { type ChannelKey, type ChannelValue, isChannelKey, type Profile, type Reason } from './profile.ts'
import type { ColumnType, Table, TextRow } from './row.ts'
import { isSupported, OID } from './values.ts'

export type MappedRow =
  | {
      readonly kind: 'user'
      readonly distinctId: string
      readonly profile: Profile
      readonly reasons: readonly Reason[]
    }
  /** The user must not exist: `when` is not true, or there is no usable distinct_id (then null, with its reason). */
  | { readonly kind: 'absent'; readonly distinctId: string | null; readonly reasons: readonly Reason[] }

export interface Mapping {
  /** `row` is aligned to the table's `wanted`. */
  readonly map: (row: TextRow) => MappedRow
  /** A row's distinct_id is its key, exactly: no two rows can hold one. */
  readonly idIsKey: boolean
}

export type MappedChild =
  /** `userKey`: the key of the users row it belongs to, as rowKey gives it. */
  | { readonly kind: 'child'; readonly userKey: string; readonly profile: Profile; readonly reasons: readonly Reason[] }
  /** It contributes nothing: `when` is not true, or it names no user (then null). */
  | { readonly kind: 'absent'; readonly userKey: string | null; readonly reasons: readonly Reason[] }

export interface ChildMapping {
  /** `row` is aligned to the child table's `wanted`. */
  readonly map: (row: TextRow) => MappedChild
}

export interface MappingProblem {
  readonly code: 'unknown_column' | 'unsupported_type' | 'invalid_when' | 'user_key_mismatch'
  /** The configuration's key: `user.distinct_id`, `profile.$email`. */
  readonly path: string
  readonly column: string | null
  readonly message: string
}

export type Compiled<M> =
  | { readonly kind: 'ok'; readonly mapping: M }
  | { readonly kind: 'invalid'; readonly problems: readonly MappingProblem[] }

/** https://docs.suprsend.com/docs/users: at most 255 characters, trimmed. */
const MAX_DISTINCT_ID = 255
/** One event of SuprSend's is limited to 10 KB whole; this leaves room for the rest of a profile. */
const MAX_PROPERTY_BYTES = 8 * 1024

/** Every column of the users table that the mapping reads, once each, in the order of the file. */
export function mappedColumns(spec: MappingSpec): readonly string[] {
  return [...new Set([spec.distinctId.column, ...columnsOf(spec)])]
}

/** Every column of a child table that the mapping reads. */
export function childColumns(child: ChildSpec): readonly string[] {
  return [...new Set([...child.user, ...columnsOf(child)])]
}

function columnsOf({ when, profile }: TableMapping): readonly string[] {
  const columns = new Set<string>()
  if (when !== null) for (const column of expressionColumns(when)) columns.add(column)
  for (const sources of profile.values()) {
    for (const source of sources) {
      if (source.from.kind === 'column') columns.add(source.from.column)
      if (source.region?.kind === 'column') columns.add(source.region.column)
    }
  }
  return [...columns]
}

export function compileMapping(spec: MappingSpec, table: Table): Compiled<Mapping> {
  const problems: MappingProblem[] = []
  const lookup = lookupIn(table, problems)
  const id = lookup('user.distinct_id')(spec.distinctId.column)
  if (id !== null && (id.type.kind === 'array' || id.type.baseOid === OID.json || id.type.baseOid === OID.jsonb)) {
    problems.push(unsupported('user.distinct_id', spec.distinctId.column, id.type, 'cannot identify a user'))
  }
  const part = compilePart(spec, { table, problems, path: '', whenPath: 'user.when' })
  if (problems.length > 0 || id === null) return { kind: 'invalid', problems }
  const mapper = new RowMapper(part, id.index)
  return { kind: 'ok', mapping: { map: (row) => mapper.map(row), idIsKey: isExactKey(table, spec.distinctId.column) } }
}

/** @param at its place in `children`, for messages. */
export function compileChildMapping(child: ChildSpec, table: Table, at: number): Compiled<ChildMapping> {
  const problems: MappingProblem[] = []
  const path = `children[${at}].`
  const lookup = lookupIn(table, problems)
  const user = child.user.map((column) => lookup(`${path}user`)(column)?.index ?? -1)
  const part = compilePart(child, { table, problems, path, whenPath: `${path}when` })
  if (problems.length > 0) return { kind: 'invalid', problems }
  return { kind: 'ok', mapping: { map: (row) => mapChild(part, user, row) } }
}

function lookupIn(table: Table, problems: MappingProblem[]) {
  return (path: string): ColumnLookup =>
    (column) =>
      findColumn({ table, column, path, problems })
}

interface PartContext {
  readonly table: Table
  readonly problems: MappingProblem[]
  /** Before `profile` in messages. */
  readonly path: string
  readonly whenPath: string
}

function compilePart(spec: TableMapping, { table, problems, path, whenPath }: PartContext): TablePart {
  const lookup = lookupIn(table, problems)
  const when = compileWhen(spec.when, table, whenPath, problems)
  const channels: ChannelPart[] = []
  const properties: PropertyPart[] = []
  for (const [key, sources] of spec.profile) {
    const compile = (source: Source) => new CompiledSource(key, source, lookup(`${path}profile.${key}`))
    const compiled = sources.map(compile)
    const first = compiled[0]
    if (isChannelKey(key)) channels.push({ key, sources: compiled })
    else if (first !== undefined) properties.push({ key, source: first })
  }
  return { when, whenPath, channels, properties }
}

/** Text would not do: ids are trimmed, keys are not. */
function isExactKey(table: Table, column: string): boolean {
  const [key, ...more] = table.wanted.slice(0, table.key.length)
  const exact: readonly number[] = [OID.int2, OID.int4, OID.int8, OID.uuid]
  return key !== undefined && more.length === 0 && key.name === column && exact.includes(key.type.baseOid)
}

interface ChannelPart {
  readonly key: ChannelKey
  readonly sources: readonly CompiledSource[]
}

interface PropertyPart {
  readonly key: string
  readonly source: CompiledSource
}

/** What one table's rows contribute, compiled. */
interface TablePart {
  readonly when: ((row: TextRow) => Evaluated) | null
  readonly whenPath: string
  readonly channels: readonly ChannelPart[]
  readonly properties: readonly PropertyPart[]
}

class RowMapper {
  readonly #part: TablePart
  readonly #idIndex: number

  constructor(part: TablePart, idIndex: number) {
    this.#part = part
    this.#idIndex = idIndex
  }

  map(row: TextRow): MappedRow {
    const reasons: Reason[] = []
    const distinctId = distinctIdFrom(row[this.#idIndex] ?? '')
    if (!counts(this.#part, row, reasons)) return { kind: 'absent', distinctId, reasons }
    if (distinctId === null) {
      leaveOut(reasons, 'distinct_id', UNUSABLE_ID)
      return { kind: 'absent', distinctId, reasons }
    }
    return { kind: 'user', distinctId, profile: profileOf(this.#part, row, reasons), reasons }
  }
}

function mapChild(part: TablePart, user: readonly number[], row: TextRow): MappedChild {
  const reasons: Reason[] = []
  const values = user.map((index) => row[index] ?? null)
  // As a foreign key reads it: with a NULL in it, it refers to nobody.
  const userKey = values.includes(null) ? null : values.length === 1 ? (values[0] ?? null) : JSON.stringify(values)
  if (userKey === null || !counts(part, row, reasons)) return { kind: 'absent', userKey, reasons }
  return { kind: 'child', userKey, profile: profileOf(part, row, reasons), reasons }
}

function profileOf(part: TablePart, row: TextRow, reasons: Reason[]): Profile {
  const channels: { [key in ChannelKey]?: readonly ChannelValue[] } = {}
  for (const { key, sources } of part.channels) {
    const values = new Set<ChannelValue>()
    for (const source of sources) source.readMany(row, reasons, values)
    if (values.size > 0) channels[key] = [...values]
  }
  const properties: { [key: string]: Json } = {}
  for (const { key, source } of part.properties) {
    const value = source.readOne(row, reasons)
    if (value === null) continue
    if (isLargerThan(value, MAX_PROPERTY_BYTES)) leaveOut(reasons, key, TOO_LARGE)
    else properties[key] = value
  }
  return { channels, properties }
}

/**
 * Null is "not true", as in SQL's WHERE. An expression that fails on a row says nothing about the user, and a delete in
 * SuprSend cannot be undone: the row counts, with the reason `when_failed` for the operator.
 */
function counts({ when, whenPath }: TablePart, row: TextRow, reasons: Reason[]): boolean {
  if (when === null) return true
  const result = when(row)
  if (result.kind === 'value' && (result.value === null || typeof result.value === 'boolean'))
    return result.value === true
  const code = result.kind === 'failed' ? result.code : 'not_a_boolean'
  leaveOut(reasons, 'when', {
    code: 'when_failed',
    message: `${whenPath} failed on this row (${code}); the ${whenPath === 'user.when' ? 'user' : 'row'} was kept`,
  })
  return true
}

const UNUSABLE_ID = {
  code: 'invalid_distinct_id',
  message: `the distinct_id is empty, longer than ${MAX_DISTINCT_ID} characters, or no text that can stand in a URL`,
}
const TOO_LARGE = { code: 'value_too_large', message: `the value has more than ${MAX_PROPERTY_BYTES} bytes as JSON` }

/** The column's own text, so that an int8 keeps every digit. `.` and `..` would be path steps in the request's URL. */
function distinctIdFrom(text: string): string | null {
  const id = text.trim()
  if (id === '' || id.length > MAX_DISTINCT_ID || id === '.' || id === '..' || !isStorable(id)) return null
  return id
}

function compileWhen(text: string | null, table: Table, path: string, problems: MappingProblem[]): TablePart['when'] {
  if (text === null) return null
  const compiled = compileExpression(text, table)
  if (compiled.kind === 'invalid') {
    const message = `${compiled.message} (at character ${compiled.position + 1})`
    problems.push({ code: 'invalid_when', path, column: null, message })
    return null
  }
  if (compiled.type !== 'bool' && compiled.type !== 'dyn') {
    const message = `must be true or false for each row, but is of type ${compiled.type}`
    problems.push({ code: 'invalid_when', path, column: null, message })
  }
  return compiled.evaluate
}

function findColumn(at: {
  readonly table: Table
  readonly column: string
  readonly path: string
  readonly problems: MappingProblem[]
}): { readonly index: number; readonly type: ColumnType } | null {
  const { table, column, path, problems } = at
  const index = table.wanted.findIndex((wanted) => wanted.name === column)
  const type = table.wanted[index]?.type
  if (type === undefined) {
    const near = suggestion(
      column,
      table.columns.map(({ name }) => name),
    )
    const message = `the table ${table.schema}.${table.name} has no column "${column}"${near}`
    problems.push({ code: 'unknown_column', path, column, message })
    return null
  }
  if (!isSupported(type)) {
    problems.push(unsupported(path, column, type, 'cannot be mapped'))
    return null
  }
  return { index, type }
}

function unsupported(path: string, column: string, type: ColumnType, why: string): MappingProblem {
  return { code: 'unsupported_type', path, column, message: `column "${column}" is of type ${type.name}, which ${why}` }
}
