// The CEL library's syntax tree, by its shape alone: what expression-rewrite.ts and expression-cost.ts walk over.

/** The part of the library's AST node that is read here. https://github.com/marcbachmann/cel-js */
export interface ExpressionNode {
  readonly op: string
  readonly args: unknown
  readonly pos: number
  readonly start: number
  readonly end: number
}

/** Macros that bind their first argument as a variable within the others. */
const BINDING_MACROS: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'map', 'filter'])

/** `list.map(item, …)` and the like. */
export function isMacro(method: string, args: readonly ExpressionNode[]): boolean {
  return BINDING_MACROS.has(method) && args.length > 1 && args[0]?.op === 'id'
}

export function callName(node: ExpressionNode): unknown {
  return Array.isArray(node.args) ? node.args[0] : null
}

/** The nodes directly below, wherever they stand in the operator's own arrangement of arguments. */
export function nodesIn(args: unknown): readonly ExpressionNode[] {
  if (Array.isArray(args)) return args.flatMap(nodesIn)
  return isNode(args) ? [args] : []
}

function isNode(value: unknown): value is ExpressionNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value && 'start' in value
}

/** `row["First Name"]` → `First Name`: the way to name a column whose name is no CEL identifier. */
export function rowColumn(node: ExpressionNode, bound: ReadonlySet<string>): string | null {
  if (node.op !== '[]' || bound.has('row')) return null
  const [left, right] = nodesIn(node.args)
  const isRow = left?.op === 'id' && left.args === 'row'
  return isRow && right?.op === 'value' && typeof right.args === 'string' ? right.args : null
}

/** The operands of each `!` that are a column or a member of one. */
export function negated(node: ExpressionNode): readonly ExpressionNode[] {
  const operands = nodesIn(node.args)
  const own = node.op === '!_' ? operands.filter(({ op }) => op === 'id' || op === '.' || op === '[]') : []
  return [...own, ...operands.flatMap(negated)]
}
