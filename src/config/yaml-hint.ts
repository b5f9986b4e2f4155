// Where YAML reads a text as something else: what has to be quoted, in place of the library's words about tokens. Pure: of the kind
// of error and the line it stands in.

/** @param column from 1. Null: it is no matter of quotes. */
export function quotingHint(code: string, line: string, column: number): string | null {
  const bare = line.replaceAll(/"(?:[^"\\]|\\.)*"|'[^']*'/g, '""')
  // Not the brace of a variable itself.
  if (/(?<!\$)[{[].*\$\{/.test(bare)) return `a variable in braces is quoted: {url: "\${DATABASE_URL}"}`
  switch (code) {
    case 'TAG_RESOLVE_FAILED':
      return "there are no tags here; an expression that begins with ! is quoted: '!banned'"
    case 'BLOCK_AS_IMPLICIT_KEY':
    case 'BLOCK_IN_FLOW':
      return `a text that holds a colon and a blank is quoted as a whole: 'paid ? "pro" : "free"'`
    case 'UNEXPECTED_TOKEN':
      if (/["']\s*$/.test(line.slice(0, column - 1)))
        return `a text that begins with a quote is quoted as a whole: '"Dr " + name'`
      return /[[{]/.test(line.charAt(column - 1)) ? "a text that holds brackets is quoted in braces: 'tags[0]'" : null
    case 'BAD_SCALAR_START':
    case 'MULTIPLE_ANCHORS':
      return 'a text that begins with a sign is quoted'
    default:
      return null
  }
}

export const COMMA_IN_BRACES = "a text that holds a comma is quoted in braces: {value: 'coalesce(a, b)'}"

/** Whether a text was cut short at a comma: a bracket is opened and not closed. */
export function opensBracket(text: string): boolean {
  return surplus(text) > 0
}

export function closesBracket(text: string): boolean {
  return surplus(text) < 0
}

function surplus(text: string): number {
  return text.split(/[([]/).length - text.split(/[)\]]/).length
}
