// What a start owes, from which tables were stored under which mapping and which are mapped now (DESIGN §8): a table whose
// mapping changed, or that is new, is read again; what a table that is mapped no more gave is taken back. Pure.

export interface TableState {
  /** Schema and table. */
  readonly source: string
  readonly tableOid: number
  readonly mappingHash: string
}

export interface RemapDecision {
  /** Stored under another mapping than today's. */
  readonly changed: readonly string[]
  /** Not followed before: only what is read from now on counts. */
  readonly added: readonly string[]
  /** Mapped no more. */
  readonly dropped: readonly string[]
  /** Another table stands under the name: what happened to the former one until it was dropped may be unknown. */
  readonly replaced: readonly string[]
}

export function decideRemap(known: readonly TableState[], now: readonly TableState[]): RemapDecision {
  const before = new Map(known.map((table) => [table.source, table]))
  const after = new Set(now.map(({ source }) => source))
  const names = (of: (was: TableState | undefined, is: TableState) => boolean) =>
    now.filter((is) => of(before.get(is.source), is)).map(({ source }) => source)
  return {
    changed: names((was, is) => was !== undefined && was.mappingHash !== is.mappingHash),
    added: names((was) => was === undefined),
    dropped: known.filter(({ source }) => !after.has(source)).map(({ source }) => source),
    replaced: names((was, is) => was !== undefined && was.tableOid !== is.tableOid),
  }
}
