/** Cases that are many and alike, or wait for long by their nature, run all of them with `SUPRSYNC_TEST_ALL=1` only. */
export const ALL = Boolean(process.env.SUPRSYNC_TEST_ALL)

/** Every `step`-th of many like cases, for a run that must stay short. */
export function drawn<T>(cases: readonly T[], step: number): T[] {
  return ALL ? [...cases] : cases.filter((_, at) => at % step === 0)
}
