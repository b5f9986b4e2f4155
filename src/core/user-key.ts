// The users row that a child's row names: its `user` columns as the text under which state holds that row. Owns the one decision
// which pairs of types can be joined by their texts: equal values must read the same, or the child never reaches its user.
// What PostgreSQL takes for equal although it reads differently is brought to the key's own form where that is exact (numbers
// to its scale, char to its length) and refused elsewhere, with the types that would do. Pure.
import type { MappingProblem, Retype } from './mapping-problem.ts'
import { type Column, type ColumnType, keyText, type Table, type TextRow } from './row.ts'
import { OID } from './values.ts'

export type UserKey =
  /** Null: it names nobody. One text for each column, in the order of the key. */
  | { readonly kind: 'ok'; readonly read: (texts: TextRow) => string | null }
  | { readonly kind: 'invalid'; readonly problems: readonly MappingProblem[] }

interface Columns {
  readonly users: Table
  readonly child: Table
  /** Columns of the child, in the order of the key. */
  readonly user: readonly string[]
  /** The configuration's key, for messages. */
  readonly path: string
}

/** Each set of the child's columns that refers to the users table by its primary key, in the order of the key. */
export function userReferences(users: Table, child: Table): readonly (readonly string[])[] {
  return child.foreignKeys.flatMap(({ columns, target, targetColumns }) => {
    if (target.schema !== users.schema || target.name !== users.name || columns.length !== users.key.length) return []
    const inOrder = users.key.flatMap((key) => columns[targetColumns.indexOf(key)] ?? [])
    return inOrder.length === users.key.length ? [inOrder] : []
  })
}

export function compileUserKey({ users, child, user, path }: Columns): UserKey {
  const [reference] = userReferences(users, child)
  const meant = reference === undefined || reference.join() === user.join() ? null : reference.join(', ')
  const problem = (column: string | undefined, message: string, retype: readonly Retype[] = []): MappingProblem => ({
    ...{ code: 'user_key_mismatch', path, column: column ?? null, message },
    ...(retype.length > 0 && { retype }),
  })
  const name = `${users.schema}.${users.name}`
  if (user.length !== users.key.length) {
    const message = `the primary key of ${name} has ${users.key.length} columns (${users.key.join(', ')}), and user names ${user.length}${hint(meant)}`
    return { kind: 'invalid', problems: [problem(user[0], message)] }
  }
  const problems: MappingProblem[] = []
  const readers: Reader[] = []
  for (const [at, column] of user.entries()) {
    const theirs = child.columns.find((it) => it.name === column)
    const key = users.columns.find((it) => it.name === users.key[at])
    // A column that is not there has its own problem.
    if (theirs === undefined || key === undefined) continue
    const reader = readerOf(key, theirs)
    if (reader !== null) readers.push(reader)
    else {
      const message = `column "${column}" is of type ${theirs.type.name} and ${name}.${key.name} of type ${key.type.name}, in which equal values may read differently`
      const isOwn = child.key.includes(column) && !reference?.includes(column)
      if (meant !== null) problems.push(problem(column, `${message}${hint(meant)}`))
      else if (isOwn)
        problems.push(
          problem(column, `${message}; it is part of the table's own key: name the column that refers to the user`),
        )
      else problems.push(problem(column, message, retypes({ users, child, key, theirs })))
    }
  }
  if (problems.length > 0) return { kind: 'invalid', problems }
  return {
    kind: 'ok',
    read: (texts) => {
      const read: string[] = []
      for (const [at, text] of texts.entries()) {
        // As a foreign key reads it: with a NULL in it, it refers to nobody.
        const value = text === null ? null : (readers[at]?.(text) ?? null)
        if (value === null) return null
        read.push(value)
      }
      return keyText(read)
    },
  }
}

function hint(meant: string | null): string {
  return meant === null ? '' : `; a foreign key refers to the users table by ${meant}`
}

/** A text of the child in the form that the key has. Null: no value of the key's type is equal to it. */
type Reader = (text: string) => string | null

const asItIs: Reader = (text) => text

/** Built-in types of which equal values always have one text. https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat */
const EXACT: ReadonlySet<number> = new Set([
  ...[OID.bool, OID.int2, OID.int4, OID.int8, OID.uuid, OID.date, OID.timestamp, OID.timestamptz],
  // "char", name, text, oid, cidr, macaddr8, macaddr, inet, varchar, time, timetz
  ...[18, 19, 25, 26, 650, 774, 829, 869, 1043, 1083, 1266],
  // bit, varbit, pg_lsn, xid8; of int4, timestamp, timestamptz, date and int8 the ranges
  ...[1560, 1562, 3220, 5069, 3904, 3908, 3910, 3912, 3926],
])
const TEXTS: ReadonlySet<number> = new Set([25, 1043])
const INTEGERS: ReadonlySet<number> = new Set([OID.int2, OID.int4, OID.int8])
const BPCHAR = 1042
const FLOATS: ReadonlySet<number> = new Set([OID.float4, OID.float8])
/** OIDs below are PostgreSQL's own. https://www.postgresql.org/docs/current/system-catalog-initial-data.html#SYSTEM-CATALOG-OID-ASSIGNMENT */
const FIRST_OF_OTHERS = 16_384

function readerOf(key: Column, theirs: Column): Reader | null {
  const scale = scaleOf(key)
  if (scale !== null && isExactNumber(theirs.type)) {
    return INTEGERS.has(key.type.baseOid) && INTEGERS.has(theirs.type.baseOid) ? asItIs : (text) => toScale(text, scale)
  }
  const length = lengthOf(key)
  if (length !== null && theirs.type.baseOid === BPCHAR) return (text) => toLength(text, length)
  const same = key.type.baseOid === theirs.type.baseOid || [key, theirs].every(({ type }) => TEXTS.has(type.baseOid))
  return same && hasOneText(key) && hasOneText(theirs) ? asItIs : null
}

/** Whether equal values of the column always read the same. */
function hasOneText({ type, collation }: Pick<Column, 'type' | 'collation'>): boolean {
  if (collation === 'nondeterministic') return false
  switch (type.kind) {
    case 'enum':
      return true
    case 'array':
      return type.element !== null && hasOneText({ type: type.element, collation })
    case 'base':
    case 'range':
      if (EXACT.has(type.baseOid)) return true
      // Of an extension's type nobody tells. One without collations (a ulid) is taken to be a number of some kind with one text;
      // one with them (citext) has its own idea of equal letters.
      return type.kind === 'base' && type.baseOid >= FIRST_OF_OTHERS && collation === 'none'
    case 'composite':
    case 'unknown':
      return false
  }
}

function isExactNumber({ baseOid }: ColumnType): boolean {
  return INTEGERS.has(baseOid) || baseOid === OID.numeric
}

/** Digits behind the point that every value is printed with; null: it differs from value to value, or it is no exact number. */
function scaleOf({ type, modifier }: Column): number | null {
  if (INTEGERS.has(type.baseOid)) return 0
  if (type.baseOid !== OID.numeric || modifier < 4) return null
  // Eleven bits with a sign (it may be negative since 15). https://github.com/postgres/postgres/blob/master/src/backend/utils/adt/numeric.c
  return Math.max(0, (((modifier - 4) & 0x7ff) ^ 1024) - 1024)
}

function toScale(text: string, scale: number): string | null {
  const [whole = '', fraction = ''] = text.split('.')
  if (!/^-?\d+$/.test(whole)) return text // NaN
  if (/[^0]/.test(fraction.slice(scale))) return null
  return scale === 0 ? whole : `${whole}.${fraction.slice(0, scale).padEnd(scale, '0')}`
}

/** Of `char(n)`, in characters: values are filled up with blanks, which count for nothing when they are compared. */
function lengthOf({ type, modifier, collation }: Column): number | null {
  return type.baseOid === BPCHAR && modifier >= 4 && collation !== 'nondeterministic' ? modifier - 4 : null
}

function toLength(text: string, length: number): string | null {
  let end = text.length
  while (text[end - 1] === ' ') end--
  const value = text.slice(0, end)
  const missing = length - [...value].length
  return missing < 0 ? null : value + ' '.repeat(missing)
}

/** What would do: the key's own type for the child's column, or another one for both where the key's cannot be read exactly. */
function retypes(at: {
  readonly users: Table
  readonly child: Table
  readonly key: Column
  readonly theirs: Column
}): readonly Retype[] {
  const { users, child, key, theirs } = at
  const usersColumn = { table: { schema: users.schema, name: users.name }, column: key.name }
  const childColumn = { table: { schema: child.schema, name: child.name }, column: theirs.name }
  if (readerOf(key, key) !== null) {
    const recollate = TEXTS.has(key.type.baseOid) && theirs.collation === 'nondeterministic'
    return [{ ...childColumn, type: key.type.name, recollate, note: null }]
  }
  const isNumber = key.type.baseOid === OID.numeric || FLOATS.has(key.type.baseOid)
  const instead = isNumber
    ? { type: 'numeric(38,0)', recollate: false, note: 'it rounds: give it the scale that the values have' }
    : { type: 'text', recollate: key.collation === 'nondeterministic', note: null }
  return [
    { ...usersColumn, ...instead },
    { ...childColumn, ...instead },
  ]
}
