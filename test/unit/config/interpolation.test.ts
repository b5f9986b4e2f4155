// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the syntax under test
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { interpolate } from '../../../src/config/interpolation.ts'

const ENV = { A: 'one', B: 'two', EMPTY: '', TRICKY: '${A}}' }

describe('interpolate', () => {
  it.each([
    ['plain $A {A} $', 'plain $A {A} $'],
    ['${A}', 'one'],
    ['x${A}y${B}z', 'xoneytwoz'],
    ['${EMPTY}', ''],
    ['${A:-default}', 'one'],
    ['${NOPE:-default}', 'default'],
    ['${EMPTY:-default}', 'default'],
    ['${NOPE:-}', ''],
    ['${NOPE:-${B}}', 'two'],
    ['${NOPE:-a${ALSO:-${A}-${B}}b}', 'aone-twob'],
    ['${A:-${NOPE}}', 'one'],
    ['$${A}', '${A}'],
    ['${NOPE:-$${A}', '${A'],
    ['${TRICKY}', '${A}}'],
  ])('%s', (text, expected) => {
    expect(interpolate(text, ENV)).toMatchObject({ text: expected, problems: [] })
  })

  it.each([
    ['${NOPE}', 'the environment variable NOPE is not set'],
    ['${NOPE:-${ALSO}}', 'the environment variable ALSO is not set'],
    ['${A', 'a ${ is never closed; write $${ for a literal ${'],
    ['${}', 'expected a variable name after ${'],
    ['${A-b}', 'expected a variable name after ${'],
    ['${A:-x', 'the default of ${A:- is never closed by }'],
  ])('%s is a problem', (text, problem) => {
    expect(interpolate(text, ENV).problems).toEqual([problem])
  })

  it('names each variable that was used, once', () => {
    expect(interpolate('${A}${A}${B:-${EMPTY}}${NOPE:-${EMPTY}}', ENV).variables).toEqual(['A', 'B', 'NOPE', 'EMPTY'])
  })

  it('ends on any text, and leaves texts without ${ alone', () => {
    const unit = fc.constantFrom('$', '{', '}', ':-', 'A', 'x', '${', '$${')
    fc.assert(
      fc.property(fc.string({ unit }), (text) => {
        const { text: result, problems } = interpolate(text, ENV)
        if (!text.includes('${')) expect([result, problems]).toEqual([text, []])
      }),
    )
  })

  it('never reads what a variable holds', () => {
    fc.assert(
      fc.property(fc.string(), (value) => {
        expect(interpolate('<${V}>', { V: value }).text).toBe(`<${value}>`)
      }),
    )
  })
})
