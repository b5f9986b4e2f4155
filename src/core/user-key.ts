// Whether a child table's columns can name a users row: as many as the primary key has, and of types whose text is the same
// for the same value. Pure.
import type { MappingProblem } from './mapping-problem.ts'
import type { ColumnType, Table } from './row.ts'
import { OID } from './values.ts'

/** https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat */
const TEXT = 25
const VARCHAR = 1043
const INTEGERS: ReadonlySet<number> = new Set([OID.int2, OID.int4, OID.int8])
const TEXTS: ReadonlySet<number> = new Set([TEXT, VARCHAR])

/** @param user columns of the child, in the order of the key. */
export function userKeyProblem(
  users: Table,
  child: Table,
  user: readonly string[],
): Pick<MappingProblem, 'code' | 'message'> | null {
  const name = `${users.schema}.${users.name}`
  if (user.length !== users.key.length) {
    const key = users.key.join(', ')
    return {
      code: 'user_key_mismatch',
      message: `the primary key of ${name} has ${users.key.length} columns (${key}), and user names ${user.length}`,
    }
  }
  for (const [at, column] of user.entries()) {
    const theirs = child.columns.find((it) => it.name === column)?.type
    const keyName = users.key[at]
    const key = users.columns.find((it) => it.name === keyName)?.type
    if (theirs === undefined || key === undefined || haveOneText(theirs, key)) continue
    return {
      code: 'user_key_mismatch',
      message: `column "${column}" is of type ${theirs.name} and ${name}.${keyName} of type ${key.name}, whose values read differently`,
    }
  }
  return null
}

function haveOneText(a: ColumnType, b: ColumnType): boolean {
  if (a.baseOid === b.baseOid) return true
  return [INTEGERS, TEXTS].some((family) => family.has(a.baseOid) && family.has(b.baseOid))
}
