import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { applyFormat } from '../../../src/core/formats.ts'
import type { Json } from '../../../src/core/json.ts'
import { FORMATS, type Format } from '../../../src/core/mapping-spec.ts'

function format(name: Format, value: Json, region: string | null = null): unknown {
  const formatted = applyFormat(name, value, { region })
  return formatted.kind === 'value' ? formatted.value : formatted.code
}

describe('email', () => {
  it.each([
    ['ada@example.com', 'ada@example.com'],
    ['  Ada.Lovelace+x@Example.co.uk\n', 'Ada.Lovelace+x@Example.co.uk'],
    ["o'brien@example.com", "o'brien@example.com"],
    ['jörg@bücher.example', 'jörg@bücher.example'],
    ['a@b.io', 'a@b.io'],
    [`${'a'.repeat(64)}@example.com`, `${'a'.repeat(64)}@example.com`],
    ['', null],
    ['   ', null],
  ])('accepts %j', (text, expected) => {
    expect(format('email', text)).toBe(expected)
  })

  it.each([
    'ada',
    'a@b.c',
    'ada@example',
    'ada@@example.com',
    'ada lovelace@example.com',
    'ada@exa mple.com',
    '.ada@example.com',
    'ada.@example.com',
    'a..da@example.com',
    'ada@.example.com',
    'ada@example..com',
    'ada@-example.com',
    'ada@example.com.',
    'ada@127.0.0.1',
    'Ada <ada@example.com>',
    'ada@example.com,bob@example.com',
    'a\u0000da@example.com',
    'a\u200bda@example.com',
    `${'a'.repeat(65)}@example.com`,
    `ada@${'a'.repeat(64)}.ü.com`,
    `ada@${'example.'.repeat(40)}com`,
  ])('refuses %j', (text) => {
    expect(format('email', text)).toBe('invalid_email')
  })

  it.each<[Json]>([[true], [['ada@example.com']], [{ a: 1 }]])('refuses %j, which is no text', (value) => {
    expect(format('email', value)).toBe('invalid_email')
  })

  it('takes time linear in the length', () => {
    const hostile = `${'a.'.repeat(30)}@${'a-'.repeat(125)}!`
    const startedAt = performance.now()
    for (let i = 0; i < 1_000; i++) format('email', hostile)
    expect(performance.now() - startedAt).toBeLessThan(1_000)
  })
})

describe('e164', () => {
  it.each<[Json, string | null, string | null]>([
    ['+14155552671', null, '+14155552671'],
    ['+1 (415) 555-2671', null, '+14155552671'],
    ['+91 98765 43210', 'US', '+919876543210'],
    ['098765 43210', 'IN', '+919876543210'],
    ['(415) 555-2671', 'us', '+14155552671'],
    [9_876_543_210, 'IN', '+919876543210'],
    ['', 'IN', null],
  ])('%j in %s', (value, region, expected) => {
    expect(format('e164', value, region)).toBe(expected)
  })

  it.each<[Json, string | null]>([
    ['98765 43210', null],
    ['98765 43210', 'XX'],
    ['12345', 'US'],
    ['+1234567890', null],
    ['+999123456789', null],
    ['call +14155552671', null],
    ['+14155552671 ext. 5', null],
    ['+', null],
    [true, null],
  ])('refuses %j in %s', (value, region) => {
    expect(format('e164', value, region)).toBe('invalid_e164')
  })

  it('says when only the region is missing or wrong', () => {
    expect(applyFormat('e164', '98765 43210', { region: null })).toMatchObject({
      message: expect.stringContaining('names no region'),
    })
    expect(applyFormat('e164', '98765 43210', { region: 'India' })).toMatchObject({
      message: expect.stringContaining('ISO 3166-1'),
    })
  })
})

describe('timezone', () => {
  it.each([
    ['Asia/Kolkata', 'Asia/Kolkata'],
    ['Asia/Calcutta', 'Asia/Kolkata'],
    ['asia/kolkata', 'Asia/Kolkata'],
    ['America/New_York', 'America/New_York'],
    ['US/Eastern', 'America/New_York'],
    ['America/Buenos_Aires', 'America/Argentina/Buenos_Aires'],
    ['Europe/Kiev', 'Europe/Kyiv'],
    ['Europe/Amsterdam', 'Europe/Amsterdam'],
    ['Etc/UTC', 'UTC'],
    ['GMT', 'UTC'],
    ['Etc/GMT+5', 'Etc/GMT+5'],
    [' ', null],
  ])('%s', (text, expected) => {
    expect(format('timezone', text)).toBe(expected)
  })

  it.each(['EST', 'IST', 'UTC+5:30', '+05:30', 'Mars/Olympus', 'EST5EDT', 'Etc/GMT+13'])('refuses %s', (text) => {
    expect(format('timezone', text)).toBe('invalid_timezone')
  })

  it('knows every zone of the runtime, and answers with a name that stands for itself', () => {
    for (const zone of Intl.supportedValuesOf('timeZone')) {
      const name = format('timezone', zone)
      expect(name).not.toBe('invalid_timezone')
      expect(format('timezone', String(name))).toBe(name)
      expect(() => new Intl.DateTimeFormat('en', { timeZone: String(name) })).not.toThrow()
    }
  })
})

describe('language and locale', () => {
  it.each([
    ['en', 'en'],
    ['EN', 'en'],
    ['en-US', 'en'],
    ['pt_BR', 'pt'],
    ['iw', 'he'],
    ['', null],
  ])('language %s', (text, expected) => {
    expect(format('language', text)).toBe(expected)
  })

  it('nothing that looks like a locale throws: every language and region code there could be', () => {
    const letters = [...'abcdefghijklmnopqrstuvwxyz']
    const pairs = letters.flatMap((a) => letters.map((b) => a + b))
    const codes = [...pairs, ...pairs.flatMap((pair) => letters.map((letter) => pair + letter))]
    // The only one of them that Intl itself has no word for was `und`.
    for (const code of codes) expect(typeof format('locale', code)).toBe('string')
    for (const region of pairs) expect(typeof format('locale', `en-${region}`)).toBe('string')
    expect(format('locale', 'und')).toBe('invalid_locale')
    expect(format('locale', 'und-US')).toBe('invalid_locale')
  })

  it.each(['english', 'xx', 'e', 'eng', 'en/US'])('refuses language %s', (text) => {
    expect(format('language', text)).toBe('invalid_language')
  })

  it.each([
    ['en', 'en'],
    ['en_us', 'en-US'],
    ['EN-gb', 'en-GB'],
    ['zh-hant-tw', 'zh-Hant-TW'],
    ['de-DE-u-ca-buddhist', 'de-DE'],
    ['es-419', 'es-419'],
  ])('locale %s', (text, expected) => {
    expect(format('locale', text)).toBe(expected)
  })

  it.each(['english', 'xx', 'xx-US', 'en-XX', 'en US', '-', 'en_US.UTF-8'])('refuses locale %s', (text) => {
    expect(format('locale', text)).toBe('invalid_locale')
  })
})

describe('trim and lower', () => {
  it('change texts, and texts in lists, and nothing else', () => {
    expect(format('trim', ' a ')).toBe('a')
    expect(format('trim', ' \n ')).toBe(null)
    expect(format('lower', 'AbÇ')).toBe('abç')
    expect(format('lower', ['A', 1, null])).toEqual(['a', 1, null])
    expect(format('trim', 5)).toBe(5)
    expect(format('lower', { A: 'B' })).toEqual({ A: 'B' })
  })
})

it('every format is idempotent, and silent about the value it refuses', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...FORMATS),
      fc.oneof(fc.string(), fc.emailAddress(), fc.constantFrom('en_US', 'Asia/Calcutta', '+1 415 555 2671')),
      fc.constantFrom(null, 'IN', 'zz'),
      (name, text, region) => {
        const once = applyFormat(name, text, { region })
        // A text within JSON may be JSON itself.
        if (name === 'json' && once.kind === 'value') return
        if (once.kind === 'value') expect(applyFormat(name, once.value, { region })).toEqual(once)
        else if (text.length > 12) expect(once.message).not.toContain(text)
      },
    ),
    { numRuns: 2_000 },
  )
})
