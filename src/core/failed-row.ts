// Rows of the source that became nobody's profile: the failures that no request to SuprSend has to do with, and therefore no
// retry mends. Owns their words; where they come from: mapping.ts and profile-merge.ts.

export interface RowFailure {
  readonly message: string
  readonly nextStep: string
}

export const ROW_FAILURES = {
  duplicate_distinct_id: {
    message: 'another row has the same distinct_id and goes before this one',
    nextStep: 'Give each user a distinct_id of its own, or exclude the others by user.when; nothing has to be retried.',
  },
  invalid_distinct_id: {
    message: 'the row has no usable distinct_id',
    nextStep:
      'Give the row a distinct_id of 1 to 255 characters, or exclude it by user.when; nothing has to be retried.',
  },
} as const satisfies { readonly [code: string]: RowFailure }

export type RowFailureCode = keyof typeof ROW_FAILURES

export function isRowFailure(code: string): code is RowFailureCode {
  return Object.hasOwn(ROW_FAILURES, code)
}
