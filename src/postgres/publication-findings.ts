// Whether the publication is there and fits, or can be made by our role. Pure: facts in, findings out.
import type { Finding } from '../core/finding.ts'
import { quoteIdentifier, quoteTable } from './identifier.ts'
import type { ServerFacts, TableAccess } from './preflight-facts.ts'
import { createPublicationSql, type PublicationFacts, type PublishedTable, publicationProblems } from './publication.ts'

export interface WantedPublication {
  readonly name: string
  /** We make it when it is missing. */
  readonly create: boolean
}

export interface PublicationCandidate extends PublishedTable {
  readonly access: TableAccess
  /** What the publication says of this table; null: there is no such publication. */
  readonly facts: PublicationFacts | null
}

export function publicationFindings(
  wanted: WantedPublication,
  tables: readonly PublicationCandidate[],
  server: ServerFacts,
): readonly Finding[] {
  const there = tables.filter(({ facts }) => facts !== null)
  if (there.length > 0) {
    const problems = there.flatMap((table) => (table.facts ? publicationProblems(wanted.name, table.facts, table) : []))
    // What is wrong with the publication as a whole is said for each table alike.
    const unique = new Map(problems.map((problem) => [problem.sql, problem]))
    return [...unique.values()].map(({ message, sql }) => ({
      code: 'publication_mismatch',
      level: 'error',
      message,
      sql,
    }))
  }
  const name = quoteIdentifier(wanted.name)
  const sql = `${createPublicationSql(wanted.name, tables)};`
  if (!wanted.create) {
    const message = `There is no publication ${name}, and source.create does not let us make it.`
    return [{ code: 'publication_missing', level: 'error', message, sql }]
  }
  const role = quoteIdentifier(server.role)
  const foreign = tables.filter(({ access }) => !access.isOwner)
  if (foreign.length > 0) {
    const owners = [...new Set(foreign.map(({ access }) => quoteIdentifier(access.owner)))].join(' and ')
    const names = foreign.map((table) => quoteTable(table.name)).join(', ')
    const message = `The publication ${name} is missing, and only the owner of ${names} can make it: have ${owners} run this.`
    return [{ code: 'publication_not_creatable', level: 'error', message, sql }]
  }
  if (!server.canCreate) {
    const database = quoteIdentifier(server.database)
    const message = `The role ${role} may not create the publication ${name} in the database ${database}.`
    return [{ code: 'create_denied', level: 'error', message, sql: `GRANT CREATE ON DATABASE ${database} TO ${role};` }]
  }
  return []
}
