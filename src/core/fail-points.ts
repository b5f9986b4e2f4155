// Named places where a test may end the process (kill -9) to see that nothing is lost there. Without a script, which only
// the environment variable of a test gives, hitting one costs a function call.
import { SuprsyncError } from './error.ts'

const FAIL_POINTS = [
  'after_publication',
  'after_slot',
  'before_first_checkpoint',
  'after_slot_drop',
  'before_era',
  'in_sweep',
  'in_backfill',
  'after_decode',
  'in_state_transaction',
  'before_confirm',
  'after_answer',
] as const
export type FailPoint = (typeof FAIL_POINTS)[number]

export interface FailPoints {
  hit(name: FailPoint): void
}

export const NO_FAIL_POINTS: FailPoints = { hit: () => undefined }

/**
 * @param script `name:count`: on the count-th hit of that name `fail` is called.
 * @throws SuprsyncError `usage_invalid` when the script is not of that form: a test that never fails would prove nothing.
 */
export function scriptedFailPoints(script: string, fail: () => void): FailPoints {
  const match = /^([a-z_]+):([1-9]\d{0,8})$/.exec(script)
  const point = FAIL_POINTS.find((name) => name === match?.[1])
  if (point === undefined) {
    throw new SuprsyncError(
      'usage_invalid',
      `SUPRSYNC_FAIL_POINT is for tests, and written as name:count; the names are ${FAIL_POINTS.join(', ')}.`,
    )
  }
  let left = Number(match?.[2])
  return {
    hit(name) {
      if (name !== point) return
      left -= 1
      if (left === 0) fail()
    },
  }
}
