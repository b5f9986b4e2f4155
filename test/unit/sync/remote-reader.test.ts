// Looking users up: what passes is retried and then told as that user's, what concerns everybody ends the whole.
import { expect, test } from 'vitest'
import type { Answer } from '../../../src/core/api.ts'
import type { ProfileSink } from '../../../src/core/delivery-port.ts'
import type { Json } from '../../../src/core/json.ts'
import { RemoteReader } from '../../../src/sync/remote-reader.ts'

/** Answers in the order given, the last one for ever. */
class Answering implements ProfileSink {
  readonly #answers: Answer[]
  readonly asked: string[] = []

  constructor(...answers: readonly Answer[]) {
    this.#answers = [...answers]
  }

  async send(distinctId: string, { kind }: { readonly kind: string }): Promise<Answer> {
    this.asked.push(`${kind} ${distinctId}`)
    const [answer] = this.#answers
    if (this.#answers.length > 1) this.#answers.shift()
    return answer ?? { kind: 'unsent', code: 'ECONNREFUSED' }
  }
}

const answered = (status: number, body: Json = null, retryAfterMs: number | null = null): Answer => ({
  kind: 'answered',
  status,
  body,
  retryAfterMs,
})
const USER = answered(200, { distinct_id: 'u', properties: { name: 'Ada' } })
const NOT_FOUND = answered(404, { code: 404, message: "user [distinct_id: 'u'] not found" })
const LIMITS = { maxInFlight: 4, ratePerSecond: null }
const never = new AbortController().signal

async function look(...answers: readonly Answer[]) {
  const sink = new Answering(...answers)
  using reader = new RemoteReader(sink, LIMITS)
  return { looked: await reader.look('u', never), asked: sink.asked }
}

test('a user who is there, and one who is not', async () => {
  expect(await look(USER)).toEqual({
    looked: { kind: 'found', user: { channels: {}, properties: { name: 'Ada' } } },
    asked: ['get u'],
  })
  expect((await look(NOT_FOUND)).looked).toEqual({ kind: 'missing' })
})

test('passing trouble is tried again', async () => {
  const { looked, asked } = await look(answered(429, null, 1), answered(503, null, 1), NOT_FOUND)
  expect(looked).toEqual({ kind: 'missing' })
  expect(asked).toHaveLength(3)
})

test("a refusal, and an answer that is no user, are that user's trouble", async () => {
  const { looked, asked } = await look(answered(400, { code: 400, message: 'invalid_request_error' }))
  expect(looked).toMatchObject({ kind: 'failed', failure: { code: 'invalid_request', status: 400 } })
  expect(asked).toHaveLength(1)
  expect((await look(answered(200, { something: 'else' }))).looked).toMatchObject({
    kind: 'failed',
    failure: { code: 'not_the_api' },
  })
})

test.each<[string, Answer]>([
  ['suprsend_unreachable', { kind: 'unsent', code: 'ECONNREFUSED' }],
  ['suprsend_wrong_address', answered(200, '<html>welcome</html>')],
  ['suprsend_wrong_address', answered(301)],
  ['api_key_rejected', answered(401, 'Not Authenticated')],
  ['suprsend_busy', answered(429, null, 3_600_000)],
])('%s ends the whole at once', async (code, answer) => {
  const sink = new Answering(answer)
  using reader = new RemoteReader(sink, LIMITS)
  await expect(reader.look('u', never)).rejects.toMatchObject({ code, details: { next: expect.any(String) } })
  expect(sink.asked).toHaveLength(1)
})

test('once the API has answered, a stranger’s answer is one user’s trouble', async () => {
  const sink = new Answering(USER, answered(200, '<html>blocked</html>'))
  using reader = new RemoteReader(sink, LIMITS)
  await reader.look('u', never)
  expect(await reader.look('v', never)).toMatchObject({ kind: 'failed', failure: { code: 'not_the_api' } })
})

test('whoever is called off, or comes after the end, is told', async () => {
  const stopping = new AbortController()
  stopping.abort()
  const reader = new RemoteReader(new Answering(USER), LIMITS)
  await expect(reader.look('u', stopping.signal)).rejects.toMatchObject({ code: 'aborted' })
  reader[Symbol.dispose]()
  await expect(reader.look('u', never)).rejects.toMatchObject({ code: 'aborted' })
})
