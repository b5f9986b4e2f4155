/** Every `step`-th of many like cases, for a run that must stay short; `SUPRSYNC_TEST_ALL=1` runs them all. */
export function drawn<T>(cases: readonly T[], step: number): T[] {
  return process.env.SUPRSYNC_TEST_ALL ? [...cases] : cases.filter((_, at) => at % step === 0)
}
