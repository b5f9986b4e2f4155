// References in the place of credentials, both ways: texts into a request that leaves, and SuprSend's own texts back (P4, P8).
import { describe, expect, test } from 'vitest'
import type { ApiRequest } from '../../../src/core/api.ts'
import type { Profile } from '../../../src/core/profile.ts'
import {
  fingerprintOf,
  referencesIn,
  resolveRequest,
  sealProfile,
  sealUser,
  secretReference,
} from '../../../src/core/secret-reference.ts'

const BOT = secretReference('BOT', 'xoxb-canary')
const BOT_RENAMED = secretReference('SLACK_BOT', 'xoxb-canary')
const OLD = secretReference('BOT', 'xoxb-canary-old')
const slack = (access_token: unknown) => ({ email: 'ada@example.com', access_token }) as never

function profile($slack: readonly never[], properties: Profile['properties'] = {}): Profile {
  return { channels: { $slack, $email: ['ada@example.com'] }, properties }
}

describe('sealing', () => {
  const references = referencesIn([
    profile([slack(BOT)], { deep: { list: ['x', BOT_RENAMED] } }),
    profile([slack(OLD)]),
  ])

  test('one text has one reference, the first that was found, whatever the names', () => {
    expect([...references]).toEqual([
      [fingerprintOf(BOT), BOT],
      [fingerprintOf(OLD), OLD],
    ])
  })

  test('a text in clear and another name for it are the same value as the reference; others are left as they are', () => {
    const mixed = profile([slack('xoxb-canary'), slack(BOT_RENAMED), slack('xoxb-other')], {
      deep: { list: ['xoxb-canary', 'plain', null, 7] },
    })
    expect(sealProfile(mixed, references)).toEqual(
      profile([slack(BOT), slack(BOT), slack('xoxb-other')], { deep: { list: [BOT, 'plain', null, 7] } }),
    )
  })

  test('of what SuprSend holds, the texts are learned, and nothing else', () => {
    const learned = new Map<string, string>()
    const held = {
      channels: { $slack: [slack('xoxb-canary-old'), slack('xoxb-of-somebody')], $odd: ['xoxb-canary'] },
      properties: { list: ['xoxb-canary'] },
    }
    const sealed = sealUser(held as never, references, (fingerprint, text) => learned.set(fingerprint, text))
    expect(sealed).toEqual({
      channels: { $slack: [slack(OLD), slack('xoxb-of-somebody')], $odd: [BOT] },
      properties: { list: [BOT] },
    })
    expect(learned).toEqual(
      new Map([
        [fingerprintOf(OLD), 'xoxb-canary-old'],
        [fingerprintOf(BOT), 'xoxb-canary'],
      ]),
    )
  })
})

describe('a request that leaves', () => {
  const texts = new Map([[fingerprintOf(BOT), 'xoxb-canary']])
  const resolve = (request: ApiRequest) => resolveRequest(request, (fingerprint) => texts.get(fingerprint))
  const edit = (...operations: readonly object[]) => ({ kind: 'edit', operations }) as ApiRequest

  test('has every text, however deep', () => {
    expect(resolve({ kind: 'upsert', body: { $slack: [slack(BOT)], deep: { list: [BOT_RENAMED] } } })).toEqual({
      kind: 'resolved',
      request: { kind: 'upsert', body: { $slack: [slack('xoxb-canary')], deep: { list: ['xoxb-canary'] } } },
      dropped: false,
    })
  })

  test.each<[string, ApiRequest]>([
    ['a new user', { kind: 'upsert', body: { $slack: [slack(OLD)] } }],
    ['an addition', edit({ $append: { $slack: slack(OLD) } })],
    ['a property', edit({ $append: { $slack: slack(BOT) } }, { $set: { token: OLD } })],
  ])('does not leave while a text of it is unknown: %s', (_, request) => {
    expect(resolve(request)).toEqual({ kind: 'missing', name: 'BOT', key: expect.stringMatching(/^(\$slack|token)$/) })
  })

  test('leaves without a removal that nobody can say any more, and says so; alone, that is a question', () => {
    const removal = { $remove: { $slack: slack(OLD) } }
    expect(resolve(edit(removal, { $append: { $slack: slack(BOT) } }))).toEqual({
      kind: 'resolved',
      request: edit({ $append: { $slack: slack('xoxb-canary') } }),
      dropped: true,
    })
    expect(resolve(edit(removal))).toEqual({ kind: 'resolved', request: { kind: 'get' }, dropped: true })
  })
})
