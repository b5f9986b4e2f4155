// What the rows of one table contribute to a profile, compiled against the table: the same for the users table and for its
// children. Owns the order in which keys are read, and the limits of a value and of the whole.
import { ChannelValues } from './channel-values.ts'
import { compileExpression, type Evaluated, expressionProblem } from './expression.ts'
import type { Json } from './json.ts'
import { isLargerThan } from './json-text.ts'
import { membersOf, type ObjectPart } from './mapping-object.ts'
import type { MappingProblem } from './mapping-problem.ts'
import { type ColumnLookup, CompiledSource, leaveOut, type SourceCompiler } from './mapping-source.ts'
import type { TableMapping } from './mapping-spec.ts'
import { suggestion } from './nearest.ts'
import { type ChannelKey, type ChannelValue, isChannelKey, type Profile, type Reason } from './profile.ts'
import { fitProfile } from './profile-limit.ts'
import type { ColumnType, Table, TextRow } from './row.ts'
import { isSupported, OID } from './values.ts'

/** One event of SuprSend's is limited to 10 KB whole; this leaves room for the rest of a profile. */
const MAX_PROPERTY_BYTES = 8 * 1024

interface ChannelPart {
  readonly key: ChannelKey
  readonly sources: readonly CompiledSource[]
}

interface PropertyPart {
  readonly key: string
  readonly source: CompiledSource
}

/** What one table's rows contribute, compiled. */
export interface TablePart {
  readonly when: ((row: TextRow) => Evaluated) | null
  readonly whenPath: string
  readonly channels: readonly ChannelPart[]
  readonly properties: readonly PropertyPart[]
  readonly objects: readonly ObjectPart[]
  /** Keys that stand in the file; other names come of rows. */
  readonly named: ReadonlySet<string>
}

export function lookupIn(table: Table, problems: MappingProblem[]) {
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

export function compilePart(spec: TableMapping, { table, problems, path, whenPath }: PartContext): TablePart {
  const column = lookupIn(table, problems)
  const when = compileWhen(spec.when, table, whenPath, problems)
  const channels: ChannelPart[] = []
  const properties: PropertyPart[] = []
  for (const [key, sources] of spec.profile) {
    const at = `${path}profile.${key}`
    const compiler: SourceCompiler = {
      column: column(at),
      expression: (text, of) =>
        of === 'when'
          ? compileWhen(text, table, `${at}.when`, problems)
          : compileValue(text, table, `${at}.value`, problems),
    }
    const compiled = sources.map((source) => new CompiledSource(key, source, compiler))
    const first = compiled[0]
    if (isChannelKey(key)) channels.push({ key, sources: compiled })
    else if (first !== undefined) properties.push({ key, source: first })
  }
  const objects = spec.properties.flatMap(({ column: name, pick }) => {
    const found = column(`${path}properties.from`)(name)
    if (found === null) return []
    if (found.type.baseOid !== OID.json && found.type.baseOid !== OID.jsonb) {
      problems.push(
        unsupported(`${path}properties.from`, name, found.type, 'holds no object: a json or jsonb column does'),
      )
    }
    return [{ index: found.index, type: found.type, pick }]
  })
  const named = new Set([...spec.profile.keys(), ...spec.properties.flatMap(({ pick }) => pick ?? [])])
  return { when, whenPath, channels, properties, objects, named }
}

export function profileOf(part: TablePart, row: TextRow, reasons: Reason[]): Profile {
  const channels: { [key in ChannelKey]?: readonly ChannelValue[] } = {}
  for (const { key, sources } of part.channels) {
    const values = new ChannelValues(key)
    for (const source of sources) source.readMany(row, reasons, values)
    const list = values.list()
    if (list.length > 0) channels[key] = list
  }
  const properties: { [key: string]: Json } = {}
  const put = (key: string, value: Json, named = key) => {
    if (isLargerThan(value, MAX_PROPERTY_BYTES)) leaveOut(reasons, named, TOO_LARGE)
    else if (value !== null) properties[key] = value
  }
  // First, so that a key which stands in `profile` has the value that it says there.
  for (const object of part.objects) membersOf(object, row, reasons, put)
  for (const { key, source } of part.properties) {
    delete properties[key]
    put(key, source.readOne(row, reasons))
  }
  const fitted = fitProfile({ channels, properties })
  for (const reason of fitted.reasons) leaveOut(reasons, part.named.has(reason.key) ? reason.key : 'properties', reason)
  return fitted.profile
}

/**
 * Null is "not true", as in SQL's WHERE. An expression that fails on a row says nothing about the user, and a delete in
 * SuprSend cannot be undone: the row counts, with the reason `when_failed` for the operator.
 */
export function counts({ when, whenPath }: TablePart, row: TextRow, reasons: Reason[]): boolean {
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

const TOO_LARGE = { code: 'value_too_large', message: `the value has more than ${MAX_PROPERTY_BYTES} bytes as JSON` }

export function compileValue(
  text: string,
  table: Table,
  path: string,
  problems: MappingProblem[],
): ((row: TextRow) => Evaluated) | null {
  const compiled = compileExpression(text, table)
  if (compiled.kind === 'ok') return compiled.evaluate
  problems.push({ code: 'invalid_value', path, column: null, message: expressionProblem(compiled) })
  return null
}

function compileWhen(text: string | null, table: Table, path: string, problems: MappingProblem[]): TablePart['when'] {
  if (text === null) return null
  const compiled = compileExpression(text, table)
  if (compiled.kind === 'invalid') {
    problems.push({ code: 'invalid_when', path, column: null, message: expressionProblem(compiled) })
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

export function unsupported(path: string, column: string, type: ColumnType, why: string): MappingProblem {
  return { code: 'unsupported_type', path, column, message: `column "${column}" is of type ${type.name}, which ${why}` }
}
