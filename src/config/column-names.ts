// What may pass for the name of a column. A name is printed where the table lacks it, and the most natural mistake is to write a
// credential where a source is expected: so a name stands in the file itself, and nothing that looks like a credential is one (P8).
import { expressionColumns } from '../core/expression.ts'
import type { Path, Place } from './document.ts'
import type { Report } from './issues.ts'
import { isRecord } from './record.ts'

/** A token of Slack's, or a URL: no column is called so. */
const CREDENTIAL = /^(?:xox[a-z]-|[a-z][a-z0-9+.-]*:\/\/)/i

export function looksLikeCredential(text: string): boolean {
  return CREDENTIAL.test(text.trim())
}

/** Reports names that come from the environment, never with their text. */
export class ColumnNames {
  readonly #locate: (path: Path) => Pick<Place, 'variables' | 'written'>
  readonly #report: Report

  constructor(locate: (path: Path) => Pick<Place, 'variables' | 'written'>, report: Report) {
    this.#locate = locate
    this.#report = report
  }

  /** Whether the column that a source names was reported: what is meant is a constant, more often than not. */
  refuses(source: unknown, path: Path): boolean {
    if (typeof source !== 'string' && !(isRecord(source) && typeof source.column === 'string')) return false
    const at = [...path, 'column']
    const { variables } = this.#locate(at)
    if (variables.length === 0) return false
    const meant = variables.map((name) => `\${${name}}`).join('')
    this.#report(at, `names a column, which stands in the file itself; a text is {const: "${meant}"}`)
    return true
  }

  inFile(path: Path): void {
    if (this.#locate(path).variables.length > 0) this.#report(path, 'the name of a column stands in the file itself')
  }

  /** Texts that it compares with may come from the environment, the columns that it reads may not. */
  inExpression(text: string | undefined, path: Path): void {
    const { variables, written } = this.#locate(path)
    if (text === undefined || variables.length === 0) return
    if (expressionColumns(text).some((column) => !written.includes(column)))
      this.#report(path, 'the columns of an expression stand in the file itself; a text from the environment is quoted')
  }
}
