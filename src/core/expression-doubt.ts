// What is wrong with an expression that fits its table: compiled, a column that may be NULL is of no type, for CEL would not compare
// it with null otherwise. So a mistake of types shows on rows only, and there NULL hides it: `!deleted_at` is NULL, and not true, for
// everybody who is not deleted. Looked for by `check`, which warns of it. Pure.
import { expressionProblem, typedExpression } from './expression.ts'
import type { Table } from './row.ts'

/** Where a value of the column would fail, or never be equal. Of other errors some are none on a row: `paid ? 1 : "a"` is right. */
const FAILING: ReadonlySet<string> = new Set([
  'no_such_overload',
  'no_matching_overload',
  'invalid_logical_operand',
  'invalid_condition_type',
  'invalid_comprehension_range',
  'cannot_index_type',
])
/** Numbers of two types are compared by their values. */
const COMPARED = /^no such overload: (?:int|uint|double) [!=]= (?:int|uint|double)$/

/** Null: nothing. @param isCondition it has to be true or false. */
export function expressionDoubt(text: string, table: Table, isCondition: boolean): string | null {
  const typed = typedExpression(text, table)
  if (typed.kind === 'invalid') {
    const fails = typed.code !== undefined && FAILING.has(typed.code) && !COMPARED.test(typed.message)
    return fails ? `does not fit its columns where they have values: ${expressionProblem(typed)}` : null
  }
  if (isCondition && typed.type !== 'bool' && typed.type !== 'dyn')
    return `must be true or false, but is of type ${typed.type} where its columns have values`
  return isCondition && typed.negatesNull ? NEGATED : null
}

const NEGATED =
  'takes ! of what may be NULL: that is NULL again, and no row counts for which it is NULL; != true counts those rows as well'
