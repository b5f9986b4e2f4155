// After a standstill nothing goes on before the lock session has answered.
import { expect, test } from 'vitest'
import { FreezeGuard } from '../../../src/sync/freeze-guard.ts'

interface Frozen extends Disposable {
  readonly guard: FreezeGuard
  /** Lets the clock run; nothing else happens meanwhile. */
  pass(ms: number): void
  /** Answers the oldest question. */
  answer(ours: boolean): void
  readonly questions: number
}

function guarded(): Frozen {
  let nowMs = 1_000_000
  const waiting: PromiseWithResolvers<boolean>[] = []
  let questions = 0
  const guard = new FreezeGuard({
    now: () => nowMs,
    confirm: () => {
      const question = Promise.withResolvers<boolean>()
      questions += 1
      waiting.push(question)
      return question.promise
    },
  })
  return {
    guard,
    pass: (ms) => {
      nowMs += ms
    },
    answer: (ours) => waiting.shift()?.resolve(ours),
    get questions() {
      return questions
    },
    [Symbol.dispose]: () => guard[Symbol.dispose](),
  }
}

test('without a standstill it asks nobody', () => {
  using frozen = guarded()
  frozen.pass(900)
  expect(frozen.guard.check()).toBe(true)
  expect(frozen.questions).toBe(0)
})

test('after one everybody waits for one answer, and goes on when the locks are still ours', async () => {
  using frozen = guarded()
  frozen.pass(5_000)
  const [first, second] = [frozen.guard.check(), frozen.guard.check()]
  expect(second).toBe(first)
  expect(frozen.questions).toBe(1)
  frozen.answer(true)
  expect(await first).toBe(true)
  expect(frozen.guard.check()).toBe(true)
})

test('whoever lost the locks never goes on', async () => {
  using frozen = guarded()
  frozen.pass(5_000)
  const answer = frozen.guard.check()
  frozen.answer(false)
  expect(await answer).toBe(false)
  expect(await frozen.guard.check()).toBe(false)
  expect(frozen.questions).toBe(1)
})

test('an answer that lay waiting through another standstill does not count', async () => {
  using frozen = guarded()
  frozen.pass(5_000)
  const answer = frozen.guard.check()
  frozen.pass(60_000)
  frozen.answer(true)
  await Promise.resolve()
  expect(frozen.questions).toBe(2)
  frozen.answer(false)
  expect(await answer).toBe(false)
})

test('a clock that was set back is asked about, too', async () => {
  using frozen = guarded()
  frozen.pass(-3_600_000)
  const answer = frozen.guard.check()
  frozen.answer(true)
  expect(await answer).toBe(true)
  expect(frozen.guard.check()).toBe(true)
})
