// A `numeric` is a double in an expression, which may not hold all of its digits. What an expression hands on as it is must not lose
// them: the text stands for the double where it comes out, as it does for a column that is mapped without an expression. One for
// each compiled expression; evaluation is synchronous and begins with start().
import { ExpressionFailure } from './expression-meter.ts'
import { exactNumber } from './values.ts'

export class Digits {
  /** Null: several numbers of the row are the same double. */
  readonly #texts = new Map<number, string | null>()

  start(): void {
    this.#texts.clear()
  }

  /** @param text of a numeric column. */
  read(text: string): number {
    const number = Number(text)
    if (Number.isFinite(number) && typeof exactNumber(text) === 'string') {
      const other = this.#texts.get(number)
      this.#texts.set(number, other === undefined || other === text ? text : null)
    }
    return number
  }

  /**
   * The value itself where it is exact, or has been computed.
   * @throws ExpressionFailure
   */
  whole(value: unknown): unknown {
    const text = typeof value === 'number' ? this.#texts.get(value) : undefined
    if (text === null) throw new ExpressionFailure('inexact', 'numbers of which a double holds too few digits')
    return text ?? value
  }
}
