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
