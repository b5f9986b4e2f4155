// How much one evaluation of an expression may cost. A hostile value must not hold up the process (P6): the meter is charged with
// what a step is going to take before it is taken, and ends the evaluation when it is used up. Counted, not timed: the same row
// always comes to the same end. One for each compiled expression; evaluation is synchronous and begins with start().

/** Thrown where an expression cannot go on; `summary` holds no value of the row. */
export class ExpressionFailure extends Error {
  readonly code: string
  readonly summary: string

  constructor(code: string, summary: string) {
    super(summary)
    this.code = code
    this.summary = summary
  }
}

/** One unit is about half a microsecond: one turn of a macro with a short body. All of it takes a tenth of a second. */
const UNITS = 200_000
const CHARS_IN_A_UNIT = 500
/** Of JSON that is read; what it holds is charged for as it becomes CEL's own. */
const JSON_CHARS_IN_A_UNIT = 50
const UNITS_OF_A_VALUE = 0.5
/** The shortest value of a list, `1,`, is compared in some 50 ns. */
const ROW_CHARS_IN_A_UNIT = 16
/** V8 searches in linear time unless text and pattern are made to prevent it: then each unit of one meets each of the other. */
const MEETINGS_IN_A_UNIT = 500
const COMPARISONS_IN_A_UNIT = 8
/** Longer texts are made from no address and no name. */
const MAX_TEXT = 1024 * 1024

export class Meter {
  #left = 0
  #rowUnits = 0

  /** @param chars of all columns that the expression reads. */
  start(chars: number): void {
    this.#left = UNITS
    this.#rowUnits = Math.ceil(chars / ROW_CHARS_IN_A_UNIT)
  }

  charge(units: number): void {
    this.#left -= units
    if (this.#left < 0) throw new ExpressionFailure('too_costly', 'the row makes the expression too costly')
  }

  /** A text is read from end to end. */
  text(chars: number): void {
    this.charge(chars / CHARS_IN_A_UNIT)
  }

  json(chars: number): void {
    this.charge(chars / JSON_CHARS_IN_A_UNIT)
  }

  /** One value within a JSON document is made. */
  value(): void {
    this.charge(UNITS_OF_A_VALUE)
  }

  search(text: string, pattern: string): void {
    this.charge((text.length * pattern.length) / MEETINGS_IN_A_UNIT)
  }

  /** A text of so many UTF-16 units is going to be made. */
  make(chars: number): void {
    if (chars > MAX_TEXT)
      throw new ExpressionFailure('too_long', `the expression makes a text of more than ${MAX_TEXT} characters`)
    this.text(chars)
  }

  /** `in`: each of them may be compared; one text or number with another in some 50 ns, and objects by all that they hold. */
  members(items: unknown): void {
    if (!Array.isArray(items)) return
    const plain = items.every((item) => typeof item !== 'object' || item === null)
    this.charge(plain ? items.length / COMPARISONS_IN_A_UNIT : this.#rowUnits)
  }

  /**
   * A macro is going to run over `items`.
   * @param each what one turn takes. @param wholeRow one turn may touch all of the row.
   */
  turns(items: unknown, each: number, wholeRow: boolean): void {
    const count = Array.isArray(items) ? items.length : items instanceof Map || items instanceof Set ? items.size : 0
    this.charge(count * (each + (wholeRow ? this.#rowUnits : 0)))
  }
}
