// SQL identifiers and literals. The only place that quotes: names come from the catalogue or the configuration and may
// hold upper case, spaces, quotes and dots. For commands that take no parameters (DDL, the replication protocol).

export interface TableName {
  readonly schema: string
  readonly name: string
}

export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** `"schema"."name"`: never dependent on search_path. */
export function quoteTable(table: TableName): string {
  return `${quoteIdentifier(table.schema)}.${quoteIdentifier(table.name)}`
}

/** A string constant, whatever standard_conforming_strings says. */
export function quoteLiteral(text: string): string {
  const doubled = text.replaceAll("'", "''")
  return doubled.includes('\\') ? ` E'${doubled.replaceAll('\\', '\\\\')}'` : `'${doubled}'`
}
