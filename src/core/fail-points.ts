// Named places where a test may end the process (kill -9) to see that nothing is lost there. Without a script, which only
// the environment variable of a test gives, hitting one costs a function call.

export type FailPoint =
  | 'after_publication'
  | 'after_slot'
  | 'before_first_checkpoint'
  | 'in_backfill'
  | 'after_decode'
  | 'in_state_transaction'
  | 'before_confirm'
  | 'after_answer'

export interface FailPoints {
  hit(name: FailPoint): void
}

export const NO_FAIL_POINTS: FailPoints = { hit: () => undefined }

/**
 * @param script `name:count`: on the count-th hit of that name `fail` is called.
 * @throws RangeError when the script is not of that form.
 */
export function scriptedFailPoints(script: string, fail: () => void): FailPoints {
  const match = /^([a-z_]+):(\d+)$/.exec(script)
  if (!match) throw new RangeError('a fail point is written as name:count')
  let left = Number(match[2])
  return {
    hit(name) {
      if (name !== match[1]) return
      left -= 1
      if (left === 0) fail()
    },
  }
}
