// Whether the publication is there and fits, or can be made by our role. Pure: facts in, findings out.
import type { Finding } from '../core/finding.ts'
import { quoteIdentifier, quoteTable } from './identifier.ts'
import type { ServerFacts, TableAccess } from './preflight-facts.ts'
import { createPublicationSql, type PublicationFacts, type PublishedTable, publicationProblems } from './publication.ts'

export interface WantedPublication {
  readonly name: string
  readonly table: PublishedTable
  /** We make it when it is missing. */
  readonly create: boolean
}

export function publicationFindings(
  facts: PublicationFacts | null,
  wanted: WantedPublication,
  rights: { readonly server: ServerFacts; readonly access: TableAccess },
): readonly Finding[] {
  if (facts) {
    return publicationProblems(wanted.name, facts, wanted.table).map(({ message, sql }) => ({
      code: 'publication_mismatch',
      level: 'error',
      message,
      sql,
    }))
  }
  const name = quoteIdentifier(wanted.name)
  const sql = `${createPublicationSql(wanted.name, wanted.table)};`
  if (!wanted.create) {
    const message = `There is no publication ${name}, and source.create does not let us make it.`
    return [{ code: 'publication_missing', level: 'error', message, sql }]
  }
  const { server, access } = rights
  const role = quoteIdentifier(server.role)
  if (!access.isOwner) {
    const message = `The publication ${name} is missing, and only the owner of ${quoteTable(wanted.table.name)} can make it: have ${quoteIdentifier(access.owner)} run this.`
    return [{ code: 'publication_not_creatable', level: 'error', message, sql }]
  }
  if (!server.canCreate) {
    const database = quoteIdentifier(server.database)
    const message = `The role ${role} may not create the publication ${name} in the database ${database}.`
    return [{ code: 'create_denied', level: 'error', message, sql: `GRANT CREATE ON DATABASE ${database} TO ${role};` }]
  }
  return []
}
