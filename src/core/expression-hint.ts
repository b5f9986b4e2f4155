// What was meant by an expression in the idiom of SQL or JavaScript: CEL's own words for it, after the library's message. Pure; of
// the text and of the library's message, which names types only.
import { nearest } from './nearest.ts'

/** What stands outside of quotes, and how CEL writes it. */
const SYNTAX: readonly (readonly [RegExp, string])[] = [
  [/\bis\s+not\s+null\b/i, '!= null for IS NOT NULL'],
  [/\bis\s+null\b/i, '== null for IS NULL'],
  [/(?<![=!<>])=(?!=)/, '== for ='],
  [/[=!]==/, '== and != for === and !=='],
  [/<>/, '!= for <>'],
  [/\band\b/i, '&& for AND'],
  [/\bor\b/i, '|| for OR'],
  [/\bnot\b(?!\s+null)/i, '! for NOT'],
  [/\bi?like\b/i, 'name.startsWith("a"), endsWith, contains or matches for LIKE'],
  [/\bIN\s*\(|\bin\s*\(/, 'plan in ["a", "b"] for IN'],
  [/\b(?:case|when|then)\b/i, 'paid ? "a" : "b" for CASE and IF'],
  [/->/, "settings.plan for settings->>'plan'"],
  [/::/, 'string(id) or int(code) for ::'],
  [/\?\?/, 'coalesce(a, b) for ??'],
  [/\?\./, 'settings.plan for settings?.plan'],
  [/`/, 'row["First Name"] for a name in other quotes'],
]

/** `; CEL writes == for =, && for AND`, or nothing. */
export function syntaxHint(text: string): string {
  const bare = text.replaceAll(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g, '""')
  const found = SYNTAX.flatMap(([pattern, hint]) => (pattern.test(bare) ? [hint] : []))
  return found.length === 0 ? '' : `; CEL writes ${found.join(', ')}`
}

const NO_CLOCK = 'there is no clock: a user changes when its row does'
/** By the name in lower case. */
const MEANT: ReadonlyMap<string, string> = new Map([
  ...['now', 'today', 'date', 'current_timestamp', 'current_date'].map((name) => [name, NO_CLOCK] as const),
  ...['touppercase', 'toupper', 'upcase'].map((name) => [name, 'that is upper(name) here'] as const),
  ...['tolowercase', 'tolower', 'downcase'].map((name) => [name, 'that is lower(name) here'] as const),
  ...['length', 'len', 'count'].map((name) => [name, 'that is size(name) here'] as const),
  ...['ifnull', 'nvl', 'isnull'].map((name) => [name, 'that is coalesce(a, b) here'] as const),
  ...['substr', 'slice', 'left'].map((name) => [name, 'that is name.substring(0, 3) here'] as const),
  ['concat', 'texts are put together by +'],
  ['includes', 'that is name.contains("a") here'],
])

/**
 * After a message of the library's about types, or nothing.
 * @param known the names of functions that there are.
 */
export function typeHint(summary: string, known: readonly string[]): string {
  if (/^no such overload: !|^Logical operator|^Ternary condition/.test(summary))
    return '; it takes true or false: whether there is a value at all is asked by deleted_at == null'
  if (/^no such overload: .*string/.test(summary) && / \+ /.test(summary))
    return '; string(age) makes a text of a number'
  if (/^no such overload: .*\bint\b.* [-+*/%] .*double|^no such overload: .*double.* [-+*/%] .*\bint\b/.test(summary))
    return '; both have to be of one type: double(age), 2.0'
  const [, name] = /overload for '(?:[^'(]*\.)?(\w+)\(/.exec(summary) ?? []
  if (name === undefined || known.includes(name)) return ''
  const meant = MEANT.get(name.toLowerCase())
  if (meant !== undefined) return `; ${meant}`
  const near = nearest(name, known)
  return near === null ? '; docs/mapping.md lists the functions that there are' : `; did you mean ${near}?`
}
