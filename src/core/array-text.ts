// PostgreSQL's text form of arrays: {a,"b c",NULL,{nested}} with optional bounds [0:1]= before it. Knows only the grammar;
// what an element means is for values.ts. https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO

export type ArrayItems = readonly (string | null | ArrayItems)[]

/** PostgreSQL's MAXDIM. Also what keeps the recursion here short whatever the text. */
const MAX_DEPTH = 6

/** The items as text, or null when the text is no array. */
export function parseArrayText(text: string, delimiter: string): ArrayItems | null {
  // With bounds other than 1 the server writes them in front: [2:3]={a,b}. JSON lists have none to keep.
  const start = text.startsWith('[') ? text.indexOf('=') + 1 : 0
  if (text[start] !== '{') return null
  const reader = new ArrayReader(text, start, delimiter)
  const items = reader.readList(1)
  return items !== null && reader.atEnd() ? items : null
}

class ArrayReader {
  readonly #text: string
  readonly #delimiter: string
  #at: number

  constructor(text: string, at: number, delimiter: string) {
    this.#text = text
    this.#at = at
    this.#delimiter = delimiter
  }

  atEnd(): boolean {
    return this.#at === this.#text.length
  }

  /** Stands on the opening brace; ends behind the closing one. */
  readList(depth: number): ArrayItems | null {
    if (depth > MAX_DEPTH) return null
    this.#at++
    const items: (string | null | ArrayItems)[] = []
    if (this.#text[this.#at] === '}') {
      this.#at++
      return items
    }
    for (;;) {
      const first = this.#text[this.#at]
      const item = first === '{' ? this.readList(depth + 1) : first === '"' ? this.#readQuoted() : this.#readBare()
      if (item === null) return null
      items.push(item === NULL_ITEM ? null : item)
      const next = this.#text[this.#at++]
      if (next === '}') return items
      if (next !== this.#delimiter) return null
    }
  }

  #readQuoted(): string | null {
    let value = ''
    let from = ++this.#at
    for (; this.#at < this.#text.length; this.#at++) {
      const char = this.#text[this.#at]
      if (char === '"') {
        value += this.#text.slice(from, this.#at++)
        return value
      }
      if (char === '\\') {
        value += this.#text.slice(from, this.#at)
        from = ++this.#at
      }
    }
    return null
  }

  #readBare(): string | typeof NULL_ITEM | null {
    const from = this.#at
    for (; this.#at < this.#text.length; this.#at++) {
      const char = this.#text[this.#at]
      if (char === this.#delimiter || char === '}') {
        const value = this.#text.slice(from, this.#at)
        // Only the bare word is NULL; the server quotes a text that reads the same.
        return value === 'NULL' ? NULL_ITEM : value === '' ? null : value
      }
      if (char === '{' || char === '"' || char === '\\') return null
    }
    return null
  }
}

const NULL_ITEM = Symbol('NULL')
