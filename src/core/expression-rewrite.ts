// What has to happen to a CEL text before the library may evaluate it over a row. Owns two things: which columns the text
// reads, and the rewritten text in which (1) a missing JSON key yields null (`a.b.c` becomes `a.?b.?c.orValue(dyn(null))`),
// (2) columns that CEL cannot name (`type`, `package`, `row["First Name"]`) stand under a name that it can. Works by text
// insertions at the parser's offsets, so that everything else stays as written; (3) what could take longer than a hostile row may
// hold up the process is charged for (expression-meter.ts). Pure; knows the AST only by its shape.
import { turnCost } from './expression-cost.ts'
import { PREFIX, RENAMED } from './expression-functions.ts'
import { callName, type ExpressionNode, isMacro, nodesIn, rowColumn } from './expression-node.ts'

export interface Rewritten {
  readonly text: string
  /** Column name to its name in `text`, in the order of first use. */
  readonly columns: ReadonlyMap<string, string>
  /** Of each `matches`; null: it is no constant. */
  readonly patterns: readonly { readonly source: string | null; readonly position: number }[]
  /** An offset in `text` as the offset in what the user wrote. */
  readonly originalOffset: (offset: number) => number
}

interface Edit {
  readonly at: number
  readonly remove: number
  readonly insert: string
}

/** Blanks and comments, with closing brackets before the point. */
const BEFORE_METHOD = /(?:[\s)]|\/\/[^\n]*(?:\n|$))*\.(?:\s|\/\/[^\n]*(?:\n|$))*/y
const ACCESS: ReadonlySet<string> = new Set(['.', '[]'])
const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/

/** `isBuiltIn`: names that mean something to CEL itself (`int`, `string`, …) and are therefore no columns. */
export function rewriteExpression(text: string, root: ExpressionNode, isBuiltIn: (name: string) => boolean): Rewritten {
  const rewriter = new Rewriter(text, isBuiltIn)
  rewriter.visit(root, new Set())
  return rewriter.result()
}

class Rewriter {
  readonly #text: string
  readonly #isBuiltIn: (name: string) => boolean
  readonly #edits: Edit[] = []
  readonly #columns = new Map<string, string>()
  readonly #patterns: { readonly source: string | null; readonly position: number }[] = []

  constructor(text: string, isBuiltIn: (name: string) => boolean) {
    this.#text = text
    this.#isBuiltIn = isBuiltIn
  }

  result(): Rewritten {
    const edits = this.#edits.toSorted((a, b) => a.at - b.at)
    let text = ''
    let from = 0
    for (const edit of edits) {
      text += this.#text.slice(from, edit.at) + edit.insert
      from = edit.at + edit.remove
    }
    const originalOffset = (offset: number): number => {
      let shift = 0
      for (const edit of edits) {
        if (edit.at + shift >= offset) break
        shift += edit.insert.length - edit.remove
      }
      return Math.max(0, Math.min(offset - shift, this.#text.length))
    }
    return { text: text + this.#text.slice(from), columns: this.#columns, patterns: this.#patterns, originalOffset }
  }

  visit(node: ExpressionNode, bound: ReadonlySet<string>): void {
    if (node.op === 'id') this.#visitName(node, bound)
    else if (node.op === 'value' && node.args === null) this.#insertNull(node)
    else if (ACCESS.has(node.op)) this.#visitAccess(node, bound, { endsInValue: true })
    else if (node.op === 'call' && callName(node) === 'has') this.#visitHas(node, bound)
    else if (node.op === 'call' && callName(node) === 'duration') this.#wrapArguments(node, bound, 'duration_text')
    else if (node.op === 'call' && callName(node) === 'string') this.#wrapArguments(node, bound, 'digits')
    else if (node.op === 'rcall') this.#visitMethod(node, bound)
    else if (node.op === 'in' && bound.size > 0) this.#visitMembership(node, bound)
    else for (const child of nodesIn(node.args)) this.visit(child, bound)
  }

  /** Typed as it is, null could stand neither beside a text in `a ? text : null` nor be compared with a NOT NULL column. */
  #insertNull(node: ExpressionNode): void {
    this.#edits.push({ at: node.start, remove: node.end - node.start, insert: 'dyn(null)' })
  }

  #visitName(node: ExpressionNode, bound: ReadonlySet<string>): void {
    const name = String(node.args)
    // `type` alone is a column far more often than it is the type of types.
    if (bound.has(name) || (name !== 'type' && this.#isBuiltIn(name))) return
    this.#useColumn(name, node)
  }

  #useColumn(column: string, node: ExpressionNode): void {
    const plain =
      PLAIN_NAME.test(column) && !this.#isBuiltIn(column) && this.#text.slice(node.start, node.end) === column
    const name = this.#columns.get(column) ?? (plain ? column : `suprsync_column_${this.#columns.size}`)
    this.#columns.set(column, name)
    if (this.#text.slice(node.start, node.end) !== name) {
      this.#edits.push({ at: node.start, remove: node.end - node.start, insert: name })
    }
  }

  /** A chain `base.a["b"].c`, from its last step inwards. */
  #visitAccess(node: ExpressionNode, bound: ReadonlySet<string>, chain: { readonly endsInValue: boolean }): void {
    const [left, right] = node.args as readonly [ExpressionNode, ExpressionNode | string]
    const column = rowColumn(node, bound)
    if (column !== null) {
      this.#useColumn(column, node)
      return
    }
    if (typeof right === 'string') this.#insert(this.#text.lastIndexOf('.', node.pos) + 1, '?')
    else this.#insert(this.#text.indexOf('[', left.end) + 1, '?')
    if (ACCESS.has(left.op)) this.#visitAccess(left, bound, { endsInValue: false })
    else this.visit(left, bound)
    if (typeof right !== 'string') this.visit(right, bound)
    // orValue goes behind the chain's last step only: the steps before it hand on the optional.
    if (chain.endsInValue) this.#insert(node.end, '.orValue(dyn(null))')
  }

  /** has(a.b.c) looks at its argument itself; only the steps before the last may be missing. */
  #visitHas(node: ExpressionNode, bound: ReadonlySet<string>): void {
    for (const argument of nodesIn(node.args)) {
      const left = argument.op === '.' ? nodesIn(argument.args)[0] : undefined
      if (left === undefined) this.visit(argument, bound)
      else if (left.op === '.') this.#visitAccess(left, bound, { endsInValue: false })
      else this.visit(left, bound)
    }
  }

  #visitMethod(node: ExpressionNode, bound: ReadonlySet<string>): void {
    const [method, receiver, args] = node.args as readonly [string, ExpressionNode, readonly ExpressionNode[]]
    const variable = args[0]?.op === 'id' ? String(args[0].args) : null
    const isBind = method === 'bind' && receiver.op === 'id' && receiver.args === 'cel'
    if (variable === null || !(isBind || isMacro(method, args))) {
      if (RENAMED.has(method)) this.#rename(node, { method, receiver, args })
      this.visit(receiver, bound)
      for (const argument of args) this.visit(argument, bound)
      return
    }
    const inner = new Set([...bound, variable])
    if (isBind) this.visit(receiver, bound)
    else {
      const { each, wholeRow } = turnCost(node)
      this.#insert(receiver.start, `${PREFIX}turns(`)
      this.visit(receiver, bound)
      this.#insert(receiver.end, `, ${each}, ${wholeRow})`)
    }
    // cel.bind(name, value, expression): the value does not see the name.
    args.slice(1).forEach((argument, index) => {
      this.visit(argument, isBind && index === 0 ? bound : inner)
    })
  }

  /** Behind the receiver come blanks, closing brackets and comments, the point, and the name. */
  #rename(
    node: ExpressionNode,
    call: { readonly method: string; readonly receiver: ExpressionNode; readonly args: readonly ExpressionNode[] },
  ): void {
    BEFORE_METHOD.lastIndex = call.receiver.end
    const at = BEFORE_METHOD.test(this.#text) ? BEFORE_METHOD.lastIndex : -1
    // Never left as it was: the name of the library's own would be the way round all bounds.
    if (!this.#text.startsWith(call.method, at)) throw new SyntaxError('the expression cannot be read')
    this.#insert(at, PREFIX)
    if (call.method !== 'matches') return
    const [pattern] = call.args
    const isText = pattern?.op === 'value' && typeof pattern.args === 'string'
    this.#patterns.push({ source: isText ? String(pattern.args) : null, position: pattern?.start ?? node.start })
  }

  /** Within a macro; elsewhere it is looked through but once. */
  #visitMembership(node: ExpressionNode, bound: ReadonlySet<string>): void {
    const [item, list] = nodesIn(node.args)
    if (item !== undefined) this.visit(item, bound)
    if (list === undefined) return
    this.#insert(list.start, `${PREFIX}members(`)
    this.visit(list, bound)
    this.#insert(list.end, ')')
  }

  #wrapArguments(node: ExpressionNode, bound: ReadonlySet<string>, by: string): void {
    for (const argument of nodesIn(node.args)) {
      this.#insert(argument.start, `${PREFIX}${by}(`)
      this.visit(argument, bound)
      this.#insert(argument.end, ')')
    }
  }

  #insert(at: number, text: string): void {
    this.#edits.push({ at, remove: 0, insert: text })
  }
}
