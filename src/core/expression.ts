// CEL over a row: compiled once against the table's columns and types, evaluated per row, never throwing on one. The only
// file that imports the CEL library. A missing JSON key or a NULL operand yields null, as in SQL; any other trouble is
// `failed`, which the caller must not take for "false" (a failing `when` deletes nobody).
import { Environment } from '@marcbachmann/cel-js'
import { Digits } from './expression-digits.ts'
import { PREFIX, RENAMED, withFunctions } from './expression-functions.ts'
import { syntaxHint, typeHint } from './expression-hint.ts'
import { Meter } from './expression-meter.ts'
import { negated, rowColumn } from './expression-node.ts'
import { compilePattern } from './expression-pattern.ts'
import { type Rewritten, rewriteExpression } from './expression-rewrite.ts'
import { celType, celValue, type Evaluation, jsonFromCel } from './expression-values.ts'
import type { Json } from './json.ts'
import { suggestion } from './nearest.ts'
import type { Column, ColumnType, Table, TextRow } from './row.ts'

export type Evaluated =
  | { readonly kind: 'value'; readonly value: Json }
  /** `code` is the library's: `division_by_zero`, `no_such_overload`, … Its message is not kept, it may quote the row. */
  | { readonly kind: 'failed'; readonly code: string }

export interface ExpressionError {
  readonly kind: 'invalid'
  readonly message: string
  /** Offset into the text, in UTF-16 units. */
  readonly position: number
  /** `; CEL writes == for =`, or nothing. */
  readonly hint?: string
  /** The library's. */
  readonly code?: string
}

/** One sentence without its end. */
export function expressionProblem({ message, position, hint = '' }: ExpressionError): string {
  return `${message} (at character ${position + 1})${hint}`
}

export interface Expression {
  readonly kind: 'ok'
  /** CEL's name of the result's type; `dyn` where only the row decides. */
  readonly type: string
  readonly evaluate: (row: TextRow) => Evaluated
}

export interface ParsedExpression {
  readonly kind: 'ok'
  readonly columns: readonly string[]
}

/** Syntax only, so that a mistake is found with the configuration, before there is a table. */
export function parseExpression(text: string): ParsedExpression | ExpressionError {
  const parsed = rewrite(text)
  return parsed.kind === 'ok' ? { kind: 'ok', columns: [...parsed.rewritten.columns.keys()] } : parsed
}

/** The columns that the expression reads; none when it does not parse. */
export function expressionColumns(text: string): readonly string[] {
  const parsed = parseExpression(text)
  return parsed.kind === 'ok' ? parsed.columns : []
}

export function compileExpression(text: string, table: Table): Expression | ExpressionError {
  // A value that was NULL would not be of the column's type.
  const built = build(text, table, ({ notNull, type }) => (notNull ? celType(type) : 'dyn'))
  if (built.kind === 'invalid') return built
  const { type, program, inputs, evaluation } = built
  return { kind: 'ok', type, evaluate: evaluator(program, inputs, evaluation) }
}

export interface TypedExpression {
  readonly kind: 'ok'
  /** Of the result where no column is NULL. */
  readonly type: string
  /** It takes `!` of a column that may be NULL, or of a member that a JSON document may lack. */
  readonly negatesNull: boolean
}

/** As if no column could be NULL; no expression is refused for what this finds (expression-doubt.ts). */
export function typedExpression(text: string, table: Table): TypedExpression | ExpressionError {
  const built = build(text, table, ({ type }) => celType(type))
  if (built.kind === 'invalid') return built
  const operands = negated(bare.parse(text).ast).filter((operand) => {
    const name = operand.op === 'id' ? String(operand.args) : rowColumn(operand, new Set())
    // What is looked at elsewhere too (`has(a.b) && !a.b`) is seen to.
    const isAlone = text.split(text.slice(operand.start, operand.end)).length === 2
    return isAlone && (name === null || table.columns.some((column) => column.name === name && !column.notNull))
  })
  return { kind: 'ok', type: built.type, negatesNull: operands.length > 0 }
}

interface Built {
  readonly kind: 'ok'
  readonly type: string
  readonly program: (context: Map<string, unknown>) => unknown
  readonly inputs: readonly Input[]
  readonly evaluation: Evaluation
}

function build(text: string, table: Table, typeOf: (column: Column) => string): Built | ExpressionError {
  const parsed = rewrite(text)
  if (parsed.kind === 'invalid') return parsed
  const { rewritten } = parsed
  const inputs: Input[] = []
  for (const [column, name] of rewritten.columns) {
    const index = table.wanted.findIndex((wanted) => wanted.name === column)
    const found = table.wanted[index]
    if (found === undefined) {
      const message = `no column "${column}" in the table${suggestion(column, names(table))}`
      return { kind: 'invalid', message, position: Math.max(0, text.indexOf(column)) }
    }
    inputs.push({ name, index, type: found.type, celType: typeOf(found) })
  }
  const evaluation = { meter: new Meter(), digits: new Digits() }
  const environment = withFunctions(new Environment(OPTIONS), evaluation)
  for (const input of inputs) environment.registerVariable(input.name, input.celType)
  try {
    const program = environment.parse(rewritten.text)
    const check = program.check()
    if (!check.valid) return mistypedFrom(check.error, rewritten.originalOffset)
    return { kind: 'ok', type: check.type ?? 'dyn', program, inputs, evaluation }
  } catch (error) {
    return mistypedFrom(error, rewritten.originalOffset)
  }
}

interface Input {
  readonly name: string
  readonly index: number
  readonly type: ColumnType
  readonly celType: string
}

const OPTIONS = { homogeneousAggregateLiterals: false, enableOptionalTypes: true } as const
/** Never given a variable: parses, and knows the names CEL keeps for itself. */
const bare = new Environment(OPTIONS)

/** What an expression may call. */
const FUNCTIONS: readonly string[] = withFunctions(new Environment(OPTIONS), {
  meter: new Meter(),
  digits: new Digits(),
})
  .getDefinitions()
  .functions.map(({ name }) => name)
  .filter((name) => !name.startsWith(PREFIX))

function rewrite(text: string): { readonly kind: 'ok'; readonly rewritten: Rewritten } | ExpressionError {
  try {
    const { ast } = bare.parse(text)
    const rewritten = rewriteExpression(text, ast, (name) => bare.hasVariable(name))
    const unfit = unfitPattern(rewritten)
    return unfit ?? { kind: 'ok', rewritten }
  } catch (error) {
    const invalid = invalidFrom(error, (offset) => offset)
    return { ...invalid, hint: syntaxHint(text) }
  }
}

/** CEL's patterns are RE2's. One of the row's own would be compiled for each row, and can be as costly as it likes. */
function unfitPattern({ patterns }: Rewritten): ExpressionError | null {
  for (const { source, position } of patterns) {
    if (source === null) {
      return { kind: 'invalid', message: 'the pattern of matches must be a text in quotes', position }
    }
    const compiled = compilePattern(source)
    if ('why' in compiled) {
      return { kind: 'invalid', message: `the pattern of matches is no RE2 expression: ${compiled.why}`, position }
    }
  }
  return null
}

function names(table: Table): readonly string[] {
  return table.columns.map((column) => column.name)
}

function invalidFrom(error: unknown, originalOffset: Rewritten['originalOffset']): ExpressionError {
  const { code, summary, offset } = describe(error)
  return { kind: 'invalid', message: summary, position: originalOffset(offset), code }
}

function mistypedFrom(error: unknown, originalOffset: Rewritten['originalOffset']): ExpressionError {
  const invalid = invalidFrom(error, originalOffset)
  return { ...invalid, hint: typeHint(invalid.message, FUNCTIONS) }
}

/** Functions that stand in the place of CEL's own. */
const OUR_NAMES = new RegExp(`\\b${PREFIX}(${[...RENAMED].join('|')})\\b`, 'g')

function describe(error: unknown): { readonly code: string; readonly summary: string; readonly offset: number } {
  // The library's error classes are not exported as one; all have `code`, `summary` and `range`.
  const { code, summary, range } = (error ?? {}) as { code?: unknown; summary?: unknown; range?: { start?: unknown } }
  return {
    code: typeof code === 'string' ? code : 'evaluation_error',
    summary: typeof summary === 'string' ? summary.replaceAll(OUR_NAMES, '$1') : 'the expression cannot be read',
    offset: typeof range?.start === 'number' ? range.start : 0,
  }
}

const NULL: Evaluated = { kind: 'value', value: null }
const TRUE: Evaluated = { kind: 'value', value: true }
const FALSE: Evaluated = { kind: 'value', value: false }

function evaluator(
  program: (context: Map<string, unknown>) => unknown,
  inputs: readonly Input[],
  evaluation: Evaluation,
): (row: TextRow) => Evaluated {
  // One context for all rows: evaluation is synchronous and each call sets every name anew.
  const context = new Map<string, unknown>()
  return (row) => {
    try {
      let chars = 0
      for (const { index } of inputs) chars += row[index]?.length ?? 0
      evaluation.meter.start(chars)
      evaluation.digits.start()
      for (const { name, index, type } of inputs) context.set(name, celValue(type, row[index] ?? null, evaluation))
      const value = program(context)
      if (value === true) return TRUE
      if (value === false) return FALSE
      const json = jsonFromCel(value, evaluation)
      return json === undefined ? { kind: 'failed', code: 'unsupported_result' } : { kind: 'value', value: json }
    } catch (error) {
      const { code, summary } = describe(error)
      return isNullOperand(code, summary) ? NULL : { kind: 'failed', code }
    }
  }
}

/** Codes that a NULL operand can cause; `variable_type_mismatch` is left out: it means that the table itself changed. */
const OPERAND_CODES: ReadonlySet<string> = new Set([
  'no_such_overload',
  'no_matching_overload',
  'invalid_logical_operand',
  'invalid_condition_type',
  'invalid_comprehension_range',
])

/**
 * Only the message tells which operand was to blame. Samples: "no such overload: dyn<null> + string", "found no matching
 * overload for 'null.startsWith(string)'", "Logical operator requires bool operands, got 'null'". They hold type names only.
 */
function isNullOperand(code: string, summary: string): boolean {
  return code === 'no_such_key' || (OPERAND_CODES.has(code) && /\bnull\b/.test(summary))
}
