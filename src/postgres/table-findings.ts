// What stands against following this table: what it is, what is missing, what our role may not read, and what would make
// the application's own statements fail (docs/errors.md). Pure: facts in, findings out.
import type { Finding } from '../core/finding.ts'
import type { ColumnUse } from '../core/mapped-columns.ts'
import { whatWasMeant } from '../core/missing-column.ts'
import type { ColumnType } from '../core/row.ts'
import { type Storage, type TableFacts, tableFrom } from './catalogue.ts'
import { quoteIdentifier, quoteTable, type TableName } from './identifier.ts'
import type { TableAccess } from './preflight-facts.ts'

export interface WantedTable {
  readonly table: TableName
  /** Columns that are read besides the primary key. */
  readonly columns: readonly string[]
  /** Where the mapping names each of them first, with its place in the file. */
  readonly uses?: ReadonlyMap<string, ColumnUse>
  /** The column that names the user; null: none alone does, or it is a child table. */
  readonly distinctId: string | null
  /** Whether values of the type can be mapped. */
  readonly supports: (type: ColumnType) => boolean
}

export function missingTableFinding(table: TableName, nearest: string | null): Finding {
  const meant = nearest === null ? '' : `; did you mean ${nearest}?`
  return { code: 'table_missing', level: 'error', message: `There is no table ${quoteTable(table)}${meant || '.'}` }
}

export function tableFindings(facts: TableFacts, wanted: WantedTable): readonly Finding[] {
  if (facts.kind !== 'table' && facts.kind !== 'partitioned') {
    return [unsupported(`${quoteTable(facts.name)} is a ${facts.kind}; only tables can be replicated.`)]
  }
  const findings: Finding[] = [...heirFindings(facts)]
  if (facts.isPartition) {
    findings.push(unsupported(`${quoteTable(facts.name)} is a partition: name the partitioned table instead.`))
  }
  findings.push(...columnFindings(facts, wanted))
  if (facts.key.length === 0) findings.push(keyFinding(facts, wanted.distinctId))
  for (const storage of facts.storages) findings.push(...storageFindings(storage, facts.key))
  findings.push(...distinctIdFindings(facts, wanted.distinctId))
  return findings
}

/**
 * What must not have come since the start: changes of a part of it are in no WAL, so that its rows would be read once and never
 * followed; or the application's UPDATEs and DELETEs fail because it is published.
 */
export function unbearableFindings(facts: TableFacts): readonly Finding[] {
  const { storages, key } = facts
  return [
    ...heirFindings(facts),
    ...storages.flatMap((storage) => storageFindings(storage, [])),
    ...(key.length === 0 ? [keyFinding(facts, null)] : []),
    ...storages.flatMap((storage) => (storage.identityColumns.length === 0 ? identityFindings(storage, key) : [])),
  ]
}

function heirFindings(facts: TableFacts): readonly Finding[] {
  if (!facts.hasChildren) return []
  const message = `Other tables inherit from ${quoteTable(facts.name)}: their rows show in it, but their changes are not replicated as its own.`
  return [unsupported(message)]
}

export function accessFindings(table: TableName, access: TableAccess, role: string): readonly Finding[] {
  const findings: Finding[] = []
  const grants: string[] = []
  if (!access.schemaUsage)
    grants.push(`GRANT USAGE ON SCHEMA ${quoteIdentifier(table.schema)} TO ${quoteIdentifier(role)};`)
  if (access.unreadable.length > 0) grants.push(`GRANT SELECT ON ${quoteTable(table)} TO ${quoteIdentifier(role)};`)
  if (grants.length > 0) {
    const message = `The role ${quoteIdentifier(role)} may not read ${quoteTable(table)}.`
    findings.push({ code: 'role_cannot_read', level: 'error', message, sql: grants.join('\n') })
  }
  if (access.rowSecurity) {
    findings.push({
      code: 'row_security_hides_rows',
      level: 'error',
      message: `Row security of ${quoteTable(table)} can hide rows from the role ${quoteIdentifier(role)}, and hidden users would look deleted.`,
      sql: `ALTER ROLE ${quoteIdentifier(role)} WITH BYPASSRLS;`,
    })
  }
  return findings
}

function columnFindings(facts: TableFacts, wanted: WantedTable): readonly Finding[] {
  const findings: Finding[] = []
  const at = (column: string) => {
    const path = wanted.uses?.get(column)?.path
    return path === undefined ? '' : `${path}: `
  }
  const description = tableFrom(facts, wanted.columns)
  if (description.kind === 'missing') {
    const table = { name: facts.name.name, columns: facts.columns.map(({ name }) => name) }
    for (const { name } of description.missing) {
      const meant = whatWasMeant({ column: name, as: wanted.uses?.get(name)?.as ?? 'name' }, table)
      const message = `${at(name)}The table ${quoteTable(facts.name)} has no column ${quoteIdentifier(name)}${meant}`
      findings.push({ code: 'column_missing', level: 'error', message })
    }
  }
  const read = new Set([...facts.key, ...wanted.columns])
  for (const column of facts.columns) {
    if (!read.has(column.name)) continue
    if (!wanted.supports(column.type)) {
      const message = `${at(column.name)}The column ${quoteIdentifier(column.name)} has the type ${column.type.name}, which cannot be mapped.`
      findings.push({ code: 'column_type_unsupported', level: 'error', message })
    }
    if (facts.generatedColumns.includes(column.name)) {
      const message = `${at(column.name)}The column ${quoteIdentifier(column.name)} is generated, and PostgreSQL does not replicate generated columns: map the columns it is made of.`
      findings.push({ code: 'column_generated', level: 'error', message })
    }
  }
  return findings
}

function keyFinding(facts: TableFacts, distinctId: string | null): Finding {
  const id = facts.columns.find((column) => column.name === distinctId)
  const candidate = id?.notNull && facts.uniqueColumns.includes(id.name)
  return {
    code: 'primary_key_missing',
    level: 'error',
    message: `The table ${quoteTable(facts.name)} has no primary key; published without one, the application's UPDATEs and DELETEs would fail.`,
    ...(candidate &&
      distinctId !== null && {
        sql: `ALTER TABLE ${quoteTable(facts.name)} ADD PRIMARY KEY (${quoteIdentifier(distinctId)});`,
      }),
  }
}

function storageFindings(storage: Storage, key: readonly string[]): readonly Finding[] {
  const table = quoteTable(storage.name)
  if (storage.kind !== 'table') {
    return [unsupported(`The partition ${table} is a ${storage.kind}, whose changes are not replicated.`)]
  }
  const findings: Finding[] = []
  if (storage.unlogged) {
    findings.push({
      code: 'table_unlogged',
      level: 'error',
      message: `The table ${table} is unlogged: its changes are not in the WAL.`,
      sql: `ALTER TABLE ${table} SET LOGGED; -- rewrites the table`,
    })
  }
  if (key.length > 0) findings.push(...identityFindings(storage, key))
  return findings
}

function identityFindings(storage: Storage, key: readonly string[]): readonly Finding[] {
  const table = quoteTable(storage.name)
  if (storage.identityColumns.length === 0) {
    const deferrable = storage.deferrableKey && storage.identity !== 'nothing'
    const reason = deferrable ? 'a deferrable primary key, which is no replica identity' : 'no replica identity'
    return [
      {
        code: 'replica_identity_nothing',
        level: 'error',
        message: `The table ${table} has ${reason}; published like that, the application's UPDATEs and DELETEs would fail.`,
        sql: `ALTER TABLE ${table} REPLICA IDENTITY ${storage.deferrableKey ? 'FULL' : 'DEFAULT'};`,
      },
    ]
  }
  const lacking = key.filter((column) => !storage.identityColumns.includes(column))
  if (lacking.length === 0) return []
  return [
    {
      code: 'replica_identity_lacks_key',
      level: 'error',
      message: `The replica identity of ${table} does not contain ${lacking.map(quoteIdentifier).join(', ')} of its primary key, so that a deleted row could not be told.`,
      sql: `ALTER TABLE ${table} REPLICA IDENTITY ${storage.deferrableKey ? 'FULL' : 'DEFAULT'};`,
    },
  ]
}

function distinctIdFindings(facts: TableFacts, distinctId: string | null): readonly Finding[] {
  if (distinctId === null) return []
  const column = facts.columns.find((candidate) => candidate.name === distinctId)
  if (!column) return [] // column_missing says so.
  const [table, name] = [quoteTable(facts.name), quoteIdentifier(distinctId)]
  const findings: Finding[] = []
  if (!column.notNull) {
    findings.push({
      code: 'distinct_id_nullable',
      level: 'error',
      message: `The column ${name} names the user in SuprSend and may be NULL.`,
      sql: `ALTER TABLE ${table} ALTER COLUMN ${name} SET NOT NULL;`,
    })
  }
  if (!facts.uniqueColumns.includes(distinctId)) {
    findings.push({
      code: 'distinct_id_not_unique',
      level: 'warning',
      message: `The column ${name} names the user in SuprSend and is not unique: of several rows with one value only the first counts.`,
      ...(facts.kind === 'table' && { sql: `CREATE UNIQUE INDEX CONCURRENTLY ON ${table} (${name});` }),
    })
  }
  return findings
}

function unsupported(message: string): Finding {
  return { code: 'table_kind_unsupported', level: 'error', message }
}
