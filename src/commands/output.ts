// What a command prints for its reader: lines, JSON and aligned tables, on stdout. Messages about what goes on belong to
// the logger or to stderr, so that `suprsync status --json | jq` always works.

export function printLine(text = ''): void {
  process.stdout.write(`${text}\n`)
}

/** One JSON document. bigints, which JSON lacks, become decimal text. */
export function printJson(value: unknown): void {
  printLine(JSON.stringify(value, (_key, item: unknown) => (typeof item === 'bigint' ? item.toString() : item), 2))
}

/** Columns as wide as their widest cell, two blanks apart; without blanks at the line's end. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [header, ...rows]
  const widths = header.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)))
  return lines
    .map((line) =>
      widths
        .map((width, at) => (line[at] ?? '').padEnd(width))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
