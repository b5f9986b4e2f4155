// The seed of a test that draws: another one each run, printed when the test fails, and given back with TEST_SEED.
import { onTestFailed } from 'vitest'

export function testSeed(): number {
  const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 1e9))
  onTestFailed(() => {
    process.stderr.write(`to repeat: TEST_SEED=${seed}\n`)
  })
  return seed
}
