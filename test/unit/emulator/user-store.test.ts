// The pure model behind the emulator: both readings of POST, the operators of PATCH, and that no request changes a user
// it was not given.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ApiRequest } from '../../../src/core/api.ts'
import type { JsonObject } from '../../../src/core/json.ts'
import { comparable, type StoredUser, timestamp, userObject } from '../../../src/emulator/stored-user.ts'
import { applyRequest, listUsers, type StoreRules, type UserRequest } from '../../../src/emulator/user-store.ts'

function model(rules: Partial<StoreRules> = {}) {
  const users = new Map<string, StoredUser>()
  let sequence = 0
  return {
    users,
    send: (request: UserRequest, id = 'u1') => {
      sequence += 1
      const instant = { now: timestamp(1_743_802_656_712 + sequence), sequence }
      return applyRequest(users, id, request, { postReading: 'append', patchMissing: 'create', ...rules, ...instant })
    },
    state: (id = 'u1') => {
      const user = users.get(id)
      return user === undefined ? null : comparable(user)
    },
  }
}

const post = (body: JsonObject): UserRequest => ({ kind: 'upsert', body })
const patch = (...operations: JsonObject[]): UserRequest => ({ kind: 'edit', operations })

describe('POST', () => {
  test('answers 201 with the user object of the API page, and gives every user an inbox', () => {
    const { send } = model()
    const { status, user } = send(post({ $email: ['john@example.com'], $timezone: 'America/New_York', plan: 'pro' }))
    expect(status).toBe(201)
    expect(user && userObject(user)).toEqual({
      distinct_id: 'u1',
      properties: { $timezone: 'America/New_York', plan: 'pro' },
      created_at: '2025-04-04T21:37:36.713000+00:00',
      updated_at: '2025-04-04T21:37:36.713000+00:00',
      $email: [{ value: 'john@example.com', status: 'active', perma_status: 'active' }],
      $inbox: [
        {
          value: expect.stringMatching(/^inbox-/),
          id_provider: 'suprsend',
          status: 'active',
          perma_status: 'active',
        },
      ],
    })
  })

  test('append: a second address joins the first, properties are set one by one', () => {
    const { send, state } = model()
    send(post({ $email: ['old@example.com'], a: 1, b: 1 }))
    send(post({ $email: ['new@example.com'], b: 2 }))
    expect(state()).toEqual({
      channels: { $email: ['old@example.com', 'new@example.com'] },
      properties: { a: 1, b: 2 },
    })
  })

  test('replace: what is not in the body is gone, and stays listed as inactive', () => {
    const { send, state, users } = model({ postReading: 'replace' })
    send(post({ $email: ['old@example.com'], $sms: ['+14155550100'], a: 1 }))
    send(post({ $email: ['new@example.com'], b: 2 }))
    expect(state()).toEqual({ channels: { $email: ['new@example.com'] }, properties: { b: 2 } })
    expect(users.get('u1')?.channels.$email?.map((entry) => [entry.value, entry.active])).toEqual([
      ['old@example.com', false],
      ['new@example.com', true],
    ])
    expect(users.get('u1')?.channels.$inbox?.every((entry) => entry.active)).toBe(true)
  })

  test('a property called __proto__ is a property like any other', () => {
    const { send, state } = model()
    send(post(JSON.parse('{"__proto__": 1}')))
    send(patch(JSON.parse('{"$append": {"constructor": "x"}}')))
    expect(JSON.stringify(state()?.properties)).toBe('{"__proto__":1,"constructor":["x"]}')
  })
})

describe('PATCH', () => {
  test('a removed value becomes inactive, appended again it is active once', () => {
    const { send, state, users } = model()
    send(post({ $email: ['one@example.com', 'two@example.com'] }))
    send(patch({ $remove: { $email: 'one@example.com' } }))
    expect(state()?.channels).toEqual({ $email: ['two@example.com'] })
    expect(users.get('u1')?.channels.$email).toHaveLength(2)
    send(patch({ $append: { $email: 'one@example.com' } }))
    expect(state()?.channels).toEqual({ $email: ['one@example.com', 'two@example.com'] })
    expect(users.get('u1')?.channels.$email).toHaveLength(2)
  })

  test('operations run in their order: unset, then append, is a replacement', () => {
    const { send, state } = model()
    send(post({ $email: ['old@example.com'], gone: 1 }))
    const answer = send(patch({ $unset: ['$email', 'gone'] }, { $append: { $email: 'new@example.com' } }))
    expect(answer.status).toBe(202)
    expect(state()).toEqual({ channels: { $email: ['new@example.com'] }, properties: {} })
  })

  test('set, set_once, add and increment, lists', () => {
    const { send, state } = model()
    send(post({ n: 1, tags: ['a', 'b'] }))
    send(
      patch(
        { $set: { name: 'Ada', $locale: 'en-GB' }, $set_once: { n: 9, first: 1 } },
        { $add: { n: 2 } },
        { $increment: { n: -1, m: 4 } },
        { $append: { tags: 'c', list: 'x' } },
        { $remove: { tags: 'a', none: 'x' } },
      ),
    )
    expect(state()?.properties).toEqual({
      n: 2,
      tags: ['b', 'c'],
      name: 'Ada',
      $locale: 'en-GB',
      first: 1,
      m: 4,
      list: ['x'],
    })
  })

  test('the inbox of the platform survives unset and remove', () => {
    const { send, users } = model()
    send(post({}))
    const before = users.get('u1')?.channels.$inbox
    send(patch({ $unset: ['$inbox'] }, { $remove: { $inbox: String(before?.[0]?.value) } }))
    expect(users.get('u1')?.channels.$inbox).toEqual(before)
  })

  test('push tokens are known by token and provider; null means the default one', () => {
    const { send, state } = model()
    send(post({ $androidpush: ['tok'] }))
    send(patch({ $append: { $androidpush: 'tok', $id_provider: 'xiaomi' } }))
    send(patch({ $append: { $androidpush: 'tok', $id_provider: null } }))
    expect(state()?.channels.$androidpush).toEqual(['tok', { value: 'tok', $id_provider: 'xiaomi' }])
    send(patch({ $remove: { $androidpush: 'tok', $id_provider: 'fcm' } }))
    expect(state()?.channels.$androidpush).toEqual([{ value: 'tok', $id_provider: 'xiaomi' }])
  })

  test('Slack by email_id is Slack by email, shown as email_id; of several identities the strongest is kept', () => {
    const { send, state, users } = model()
    send(post({ $slack: [{ email_id: 'user@example.com', access_token: 'xoxb-1' }] }))
    send(patch({ $append: { $slack: { email: 'user@example.com', access_token: 'xoxb-1', team_id: 'T1' } } }))
    expect(state()?.channels.$slack).toEqual([{ email: 'user@example.com', access_token: 'xoxb-1' }])
    const user = users.get('u1')
    expect(user && userObject(user).$slack).toEqual([
      { value: { email_id: 'user@example.com', access_token: 'xoxb-1' }, status: 'active', perma_status: 'active' },
    ])
    send(patch({ $append: { $slack: { email: 'a@b.example', channel_id: 'C1', access_token: 'xoxb-1' } } }))
    expect(state()?.channels.$slack?.[1]).toEqual({ channel_id: 'C1', access_token: 'xoxb-1' })
  })

  test('of a missing user: by flag created or not found', () => {
    const creating = model({ patchMissing: 'create' })
    expect(creating.send(patch({ $remove: { $email: 'x@example.com' } })).status).toBe(202)
    expect(creating.state()).toEqual({ channels: {}, properties: {} })
    const strict = model({ patchMissing: 'not_found' })
    expect(strict.send(patch({ $set: { a: 1 } }))).toEqual({
      status: 404,
      user: null,
      message: "user [distinct_id: 'u1'] not found",
    })
    expect(strict.users.size).toBe(0)
  })

  test('in the other reading a refused value, and all beside it, is stored; one that cannot be of its type is not', () => {
    const { send, state } = model({ refusalReading: 'stored' })
    const bad = patch({ $set: { a: 2, $timezone: 'EST' } }, { $append: { $email: 'not an address' } })
    expect(send(bad)).toMatchObject({ status: 400, message: 'invalid timezone: EST' })
    expect(state()).toEqual({ channels: { $email: ['not an address'] }, properties: { a: 2, $timezone: 'EST' } })
    expect(send(patch({ $set: { a: 3 } }, { $append: { $email: 7 } })).status).toBe(400)
    expect(state()?.properties.a).toBe(2)
  })

  test('a well-formed value can be refused by name', () => {
    const { send, users } = model({ refusedValues: ['ann@example.com'] })
    const message = "invalid value for channel 'email': ann@example.com. error: invalid value"
    expect(send(post({ $email: ['bo@example.com', 'ann@example.com'] }))).toMatchObject({ status: 400, message })
    expect(send(patch({ $append: { $email: 'ann@example.com' } }))).toMatchObject({ status: 400, message })
    expect(users.size).toBe(0)
    expect(send(patch({ $remove: { $email: 'ann@example.com' } })).status).toBe(202)
  })

  test('by flag $remove refuses what $append would, and leaves it there', () => {
    for (const refusalReading of ['nothing', 'stored'] as const) {
      const { send, state } = model({ refusalReading, removalReading: 'valid' })
      send(post({ $email: ['one@example.com'] }))
      expect(send(patch({ $remove: { $email: 'bad' } }, { $set: { a: 1 } })).status).toBe(400)
      expect(state()?.properties).toEqual(refusalReading === 'stored' ? { a: 1 } : {})
      expect(send(patch({ $remove: { $email: 'one@example.com' } })).status).toBe(202)
      expect(state()?.channels.$email ?? []).toEqual([])
    }
  })

  test('one bad value rejects the whole request and changes nothing', () => {
    const { send, users } = model()
    send(post({ a: 1 }))
    const before = users.get('u1')
    const answer = send(patch({ $set: { a: 2 } }, { $append: { $email: 'not an address' } }))
    expect(answer.status).toBe(400)
    expect(users.get('u1')).toBe(before)
  })
})

test('DELETE answers 204 once, then 404', () => {
  const { send, users } = model()
  send(post({}))
  expect(send({ kind: 'delete' }).status).toBe(204)
  expect(users.size).toBe(0)
  expect(send({ kind: 'delete' }).status).toBe(404)
  expect(send({ kind: 'get' }).status).toBe(404)
})

test('the list pages forward and backward over users in the order of their creation', () => {
  const { send, users } = model()
  for (const id of ['a', 'b', 'c', 'd', 'e']) send(post({ $email: [`${id}${id}@example.com`] }), id)
  const ids = (page: JsonObject) => (page.results as JsonObject[]).map((user) => user.distinct_id)
  const cursor = (page: JsonObject, name: string) => String((page.meta as JsonObject)[name])
  const first = listUsers(users, { limit: 2, before: '', after: '' })
  expect(ids(first)).toEqual(['a', 'b'])
  expect(first.meta).toMatchObject({ count: 5, limit: 2, has_prev: false, has_next: true })
  const second = listUsers(users, { limit: 2, before: '', after: cursor(first, 'after') })
  expect(ids(second)).toEqual(['c', 'd'])
  const back = listUsers(users, { limit: 2, before: cursor(second, 'before'), after: '' })
  expect(ids(back)).toEqual(['a', 'b'])
  const last = listUsers(users, { limit: 2, before: '', after: cursor(second, 'after') })
  expect(ids(last)).toEqual(['e'])
  expect(last.meta).toMatchObject({ has_prev: true, has_next: false })
  expect((last.results as JsonObject[])[0]).not.toHaveProperty('$email')
})

const email = fc.constantFrom('one@example.com', 'two@example.com', 'three@example.com')
const request: fc.Arbitrary<ApiRequest> = fc.oneof(
  fc.uniqueArray(email, { minLength: 1 }).map((values): ApiRequest => ({ kind: 'upsert', body: { $email: values } })),
  email.map((value): ApiRequest => ({ kind: 'edit', operations: [{ $append: { $email: value } }] })),
  email.map((value): ApiRequest => ({ kind: 'edit', operations: [{ $remove: { $email: value } }] })),
  fc.constant<ApiRequest>({ kind: 'edit', operations: [{ $unset: ['$email'] }] }),
  fc.constant<ApiRequest>({ kind: 'delete' }),
  fc.constant<ApiRequest>({ kind: 'get' }),
)

test('any sequence of requests leaves the set that a plain set would hold, in both readings', () => {
  fc.assert(
    fc.property(fc.array(request), fc.constantFrom('append' as const, 'replace' as const), (requests, postReading) => {
      const { send, state } = model({ postReading })
      let expected: Set<unknown> | null = null
      for (const one of requests) {
        send(one)
        if (one.kind === 'delete') expected = null
        if (one.kind === 'upsert') {
          const kept: Set<unknown> = postReading === 'append' && expected !== null ? expected : new Set()
          expected = new Set([...kept, ...(one.body.$email as readonly string[])])
        }
        if (one.kind === 'edit') {
          expected ??= new Set()
          for (const operation of one.operations) {
            if ('$append' in operation) expected.add(operation.$append.$email)
            if ('$remove' in operation) expected.delete(operation.$remove.$email)
            if ('$unset' in operation) expected.clear()
          }
        }
        const held = state()
        expect(held === null ? null : new Set(held.channels.$email ?? [])).toEqual(expected)
      }
    }),
  )
})

test('a user that was kept aside is not changed by later requests', () => {
  fc.assert(
    fc.property(fc.array(request, { minLength: 1 }), (requests) => {
      const { send, users } = model()
      for (const one of requests) {
        const before = users.get('u1')
        const copy = structuredClone(before)
        send(one)
        expect(before).toEqual(copy)
      }
    }),
  )
})
