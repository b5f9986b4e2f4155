// Expressions in the idiom of SQL and of JavaScript, and what is said of each.
import { describe, expect, it } from 'vitest'
import { compileExpression, type ExpressionError, parseExpression } from '../../../src/core/expression.ts'
import { syntaxHint } from '../../../src/core/expression-hint.ts'
import { table } from './column-samples.ts'

const users = table({ id: 'int4', name: 'text', age: 'int4' })

const isInvalid = (result: { readonly kind: string }): result is ExpressionError => result.kind === 'invalid'

describe('syntax', () => {
  it.each([
    ["plan = 'pro'", '; CEL writes == for ='],
    ['deleted_at IS NULL AND age <> 3', '; CEL writes == null for IS NULL, != for <>, && for AND'],
    ['deleted_at IS NOT NULL', '; CEL writes != null for IS NOT NULL'],
    ['not active or banned', '; CEL writes || for OR, ! for NOT'],
    ["settings->>'plan' == 'a'", "; CEL writes settings.plan for settings->>'plan'"],
    ["name LIKE 'A%'", '; CEL writes name.startsWith("a"), endsWith, contains or matches for LIKE'],
    ["plan IN ('a', 'b')", '; CEL writes plan in ["a", "b"] for IN'],
    ['id::text', '; CEL writes string(id) or int(code) for ::'],
    ['name === "a"', '; CEL writes == and != for === and !=='],
    ['name ?? "a"', '; CEL writes coalesce(a, b) for ??'],
    ['settings?.plan', '; CEL writes settings.plan for settings?.plan'],
    ['name +', ''],
  ])('%s', (text, hint) => {
    expect(parseExpression(text)).toMatchObject({ kind: 'invalid', hint })
  })

  it('what stands in quotes is no syntax', () => {
    expect(syntaxHint('name == "a = b and c -> d" && x >= 1 && y != 2')).toBe('')
  })
})

describe('types and functions', () => {
  it.each([
    ['created_at > now()', '; there is no clock: a user changes when its row does'],
    ['name.toUpperCase()', '; that is upper(name) here'],
    ['LOWER(name)', '; did you mean lower?'],
    ['name.length() > 3', '; that is size(name) here'],
    ['starts_with(name, "a")', '; did you mean startsWith?'],
    ['frobnicate(name)', '; docs/mapping.md lists the functions that there are'],
    ['age + " years"', '; string(age) makes a text of a number'],
    ['age / 2.0', '; both have to be of one type: double(age), 2.0'],
    ['!name', '; it takes true or false: whether there is a value at all is asked by deleted_at == null'],
    ['lower(age)', ''],
  ])('%s', (text, hint) => {
    const compiled = compileExpression(text.replace('created_at', 'name'), users)
    if (!isInvalid(compiled)) throw new Error('it fits')
    expect(compiled.hint).toBe(hint)
  })
})
