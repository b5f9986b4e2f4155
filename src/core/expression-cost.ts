// What one turn of a macro takes, told from its text. A turn over an item costs by the item, and all items together by the list:
// that is one unit a turn. Where a turn looks at something else as well (`tags.map(t, t + others[0])`), that is looked at as
// often as there are items, and a turn may cost as much as all of the row. What an inner macro turns over, and what `in` looks
// through, is counted when it runs. Pure.
import { callName, type ExpressionNode, isMacro, nodesIn } from './expression-node.ts'

export interface TurnCost {
  /** In units of the meter. */
  readonly each: number
  readonly wholeRow: boolean
}

/** These go on after an error, which takes some microseconds to make. */
const QUANTIFIERS: ReadonlySet<string> = new Set(['all', 'exists'])
const QUANTIFIER_UNITS = 4
/** With a time zone: some 50 microseconds. */
const ZONED = /^get[A-Z]/
const ZONED_UNITS = 100

const COMPARISONS: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>='])
/** Of constant cost, whatever they are given. */
const CHEAP: ReadonlySet<string> = new Set(['has', 'dyn', 'type'])

/** @param macro `range.map(item, body…)`. */
export function turnCost(macro: ExpressionNode): TurnCost {
  const [method, range, [variable, ...bodies]] = methodCall(macro)
  const own = String(variable?.args)
  const zoned = bodies.reduce((sum, body) => sum + zonedCalls(body), 0)
  return {
    each: (QUANTIFIERS.has(method) ? QUANTIFIER_UNITS : 1) + ZONED_UNITS * zoned,
    wholeRow: !isOfRow(range) || bodies.some((body) => looksElsewhere(body, own)),
  }
}

type Method = readonly [string, ExpressionNode, readonly ExpressionNode[]]

function methodCall(node: ExpressionNode): Method {
  return node.args as Method
}

/** Its items together are no more than the row: they are part of it, not made anew for each other item. */
function isOfRow(node: ExpressionNode): boolean {
  if (node.op === 'id') return true
  const [left] = nodesIn(node.args)
  if (node.op === '.' || node.op === '[]') return left !== undefined && isOfRow(left)
  if (node.op === 'call') return ['split', 'json'].includes(String(callName(node)))
  if (node.op !== 'rcall') return false
  const [method, receiver] = methodCall(node)
  return method === 'split' || (method === 'filter' && isOfRow(receiver))
}

function looksElsewhere(node: ExpressionNode, own: string): boolean {
  if (node.op === 'rcall') {
    const [method, receiver, args] = methodCall(node)
    // What its body does is charged for as it turns.
    if (isMacro(method, args)) return looksElsewhere(receiver, own)
  }
  const operands = nodesIn(node.args)
  const others = operands.filter((operand) => namesOther(operand, own)).length
  if (COMPARISONS.has(node.op) && others > 1) return true
  const works = node.op === '+' || node.op === 'rcall' || node.op === 'call'
  if (works && others > 0 && !(node.op === 'call' && CHEAP.has(String(callName(node))))) return true
  return operands.some((operand) => looksElsewhere(operand, own))
}

function namesOther(node: ExpressionNode, own: string): boolean {
  if (node.op === 'id') return node.args !== own
  return nodesIn(node.args).some((child) => namesOther(child, own))
}

function zonedCalls(node: ExpressionNode): number {
  const isZoned = node.op === 'rcall' && ZONED.test(methodCall(node)[0]) && methodCall(node)[2].length > 0
  return nodesIn(node.args).reduce((sum, child) => sum + zonedCalls(child), isZoned ? 1 : 0)
}
