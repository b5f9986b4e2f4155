// A row of the users table → the profile that SuprSend should hold for it. Compiled once against the table, then a pure
// function of the row: the same row always gives the same profile, no text makes it throw, and a value that cannot be used
// is left out alone with its reason (never with the value, P8). NULL is absent.
import type { Evaluated } from './expression.ts'
import { isStorable } from './json-text.ts'
import { compilePart, compileValue, counts, lookupIn, profileOf, type TablePart, unsupported } from './mapping-part.ts'
import type { MappingProblem } from './mapping-problem.ts'
import { leaveOut } from './mapping-source.ts'
import type { ChildSpec, DistinctId, MappingSpec } from './mapping-spec.ts'
import { isChannelKey, type Profile, type Reason } from './profile.ts'
import type { Table, TextRow } from './row.ts'
import { compileUserKey } from './user-key.ts'
import { OID } from './values.ts'

export type MappedRow =
  | {
      readonly kind: 'user'
      readonly distinctId: string
      readonly profile: Profile
      readonly reasons: readonly Reason[]
    }
  /** Whose it is cannot be told: its expression failed. Whose it was it stays, for a deletion cannot be undone. */
  | {
      readonly kind: 'unnamed'
      readonly distinctId: null
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

export type Compiled<M> =
  | { readonly kind: 'ok'; readonly mapping: M }
  | { readonly kind: 'invalid'; readonly problems: readonly MappingProblem[] }

/** https://docs.suprsend.com/docs/users: at most 255 characters, trimmed. */
const MAX_DISTINCT_ID = 255

export function compileMapping(spec: MappingSpec, table: Table): Compiled<Mapping> {
  const problems: MappingProblem[] = []
  const readId = compileId(spec.distinctId, table, problems)
  const part = compilePart(spec, { table, problems, path: '', whenPath: 'user.when' })
  if (problems.length > 0 || readId === null) return { kind: 'invalid', problems }
  const mapper = new RowMapper(part, readId)
  const { distinctId } = spec
  const idIsKey = distinctId.kind === 'column' && isExactKey(table, distinctId.column)
  return { kind: 'ok', mapping: { map: (row) => mapper.map(row), idIsKey } }
}

/** @param at its place in `children`, for messages. */
export function compileChildMapping(
  child: ChildSpec,
  table: Table,
  { users, at }: { readonly users: Table; readonly at: number },
): Compiled<ChildMapping> {
  const problems: MappingProblem[] = []
  const path = `children[${at}].`
  const lookup = lookupIn(table, problems)
  const user = child.user.map((column) => lookup(`${path}user`)(column)?.index ?? -1)
  const part = compilePart(child, { table, problems, path, whenPath: `${path}when` })
  if (!isUnique(table, child.user)) problems.push(...scalarProblems(child, table, path))
  const key = compileUserKey({ users, child: table, user: child.user, path: `${path}user` })
  if (key.kind === 'invalid') problems.push(...key.problems)
  if (problems.length > 0 || key.kind === 'invalid') return { kind: 'invalid', problems }
  const userKey = (row: TextRow) => key.read(user.map((index) => row[index] ?? null))
  return { kind: 'ok', mapping: { map: (row) => mapChild(part, userKey(row), row) } }
}

/** Of many rows none is the one whose value counts; channels take them all. */
function scalarProblems({ profile, properties, user }: ChildSpec, table: Table, path: string): MappingProblem[] {
  const scalars = [...profile.keys()].filter((key) => !isChannelKey(key)).map((key) => `profile.${key}`)
  return [...scalars, ...(properties.length > 0 ? ['properties'] : [])].map((key) => ({
    code: 'child_not_unique',
    path: `${path}${key}`,
    column: user[0] ?? null,
    message: `a user may have several rows in ${table.schema}.${table.name}, for ${user.join(', ')} is not unique in it: only channels can be mapped from it`,
  }))
}

function isUnique(table: Table, columns: readonly string[]): boolean {
  return table.unique.some((set) => set.every((column) => columns.includes(column)))
}

/** undefined: it cannot be told. */
type ReadId = (row: TextRow, reasons: Reason[]) => string | null | undefined

function compileId(distinctId: DistinctId, table: Table, problems: MappingProblem[]): ReadId | null {
  const path = 'user.distinct_id'
  if (distinctId.kind === 'value') {
    const evaluate = compileValue(distinctId.expression, table, `${path}.value`, problems)
    return evaluate && ((row, reasons) => idOf(evaluate(row), reasons))
  }
  const { column } = distinctId
  const id = lookupIn(table, problems)(path)(column)
  if (id !== null && (id.type.kind === 'array' || id.type.baseOid === OID.json || id.type.baseOid === OID.jsonb)) {
    problems.push(unsupported(path, column, id.type, 'cannot identify a user'))
  }
  return id && ((row) => distinctIdFrom(row[id.index] ?? ''))
}

function idOf(result: Evaluated, reasons: Reason[]): string | null | undefined {
  if (result.kind === 'failed') {
    leaveOut(reasons, 'distinct_id', { code: 'value_failed', message: `its value failed on this row (${result.code})` })
    return undefined
  }
  const { value } = result
  return typeof value === 'string' || typeof value === 'number' ? distinctIdFrom(String(value)) : null
}

/** Text would not do: ids are trimmed, keys are not. */
function isExactKey(table: Table, column: string): boolean {
  const [key, ...more] = table.wanted.slice(0, table.key.length)
  const exact: readonly number[] = [OID.int2, OID.int4, OID.int8, OID.uuid]
  return key !== undefined && more.length === 0 && key.name === column && exact.includes(key.type.baseOid)
}

class RowMapper {
  readonly #part: TablePart
  readonly #readId: ReadId

  constructor(part: TablePart, readId: ReadId) {
    this.#part = part
    this.#readId = readId
  }

  map(row: TextRow): MappedRow {
    const reasons: Reason[] = []
    const distinctId = this.#readId(row, reasons)
    if (!counts(this.#part, row, reasons)) return { kind: 'absent', distinctId: distinctId ?? null, reasons }
    if (distinctId === undefined) {
      leaveOut(reasons, 'distinct_id', NO_ID)
      return { kind: 'unnamed', distinctId: null, profile: profileOf(this.#part, row, reasons), reasons }
    }
    if (distinctId === null) {
      leaveOut(reasons, 'distinct_id', UNUSABLE_ID)
      return { kind: 'absent', distinctId, reasons }
    }
    return { kind: 'user', distinctId, profile: profileOf(this.#part, row, reasons), reasons }
  }
}

function mapChild(part: TablePart, userKey: string | null, row: TextRow): MappedChild {
  const reasons: Reason[] = []
  if (userKey === null || !counts(part, row, reasons)) return { kind: 'absent', userKey, reasons }
  return { kind: 'child', userKey, profile: profileOf(part, row, reasons), reasons }
}

const NO_ID = { code: 'invalid_distinct_id', message: 'the distinct_id cannot be told: its expression fails' }
const UNUSABLE_ID = {
  code: 'invalid_distinct_id',
  message: `the distinct_id is empty, longer than ${MAX_DISTINCT_ID} characters, or no text that can stand in a URL`,
}

/** The column's own text, so that an int8 keeps every digit. `.` and `..` would be path steps in the request's URL. */
function distinctIdFrom(text: string): string | null {
  const id = text.trim()
  if (id === '' || id.length > MAX_DISTINCT_ID || id === '.' || id === '..' || !isStorable(id)) return null
  return id
}
