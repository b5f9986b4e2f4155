// The sections of the file that make up the mapping: `profile` and `properties` of the users table and of each child, one key at
// a time, so that a mistake in one hides none in another; and what must hold between the tables.
import type { ChildSpec, MappingSpec, PropertiesSource, Source, TableMapping } from '../core/mapping-spec.ts'
import { type ChannelKey, isChannelKey } from '../core/profile.ts'
import type { ColumnNames } from './column-names.ts'
import type { TableName } from './config.ts'
import type { SecretKeeper } from './constant.ts'
import type { Path } from './document.ts'
import { parseSection, type Report } from './issues.ts'
import { keyProblem, readKey } from './profile-source.ts'
import { isRecord } from './record.ts'
import { childSchema, propertiesSchema } from './schema.ts'

type Contribution = Omit<TableMapping, 'when'>

export type MappingSections = Contribution & Pick<MappingSpec, 'children'>

export interface SectionsReading {
  readonly report: Report
  readonly secrets: SecretKeeper
  readonly names: ColumnNames
}

/** @param users null where its name has a problem of its own. */
export function readMapping(
  file: { readonly [key: string]: unknown },
  users: TableName | null,
  reading: SectionsReading,
): MappingSections {
  const own = readContribution(file, [], reading)
  const children = readChildren(file.children, users, reading)
  if (!Array.isArray(file.children)) requireKeys(file, [], reading)
  requireOneOwner(own, children, reading.report)
  return { ...own, children }
}

function readContribution(
  section: { readonly [key: string]: unknown },
  base: Path,
  reading: SectionsReading,
): Contribution {
  const { report } = reading
  const profile = new Map<string, readonly Source[]>()
  const exclusive: ChannelKey[] = []
  // That it is no mapping has been said by the schema of the whole.
  for (const [key, value] of isRecord(section.profile) ? Object.entries(section.profile) : []) {
    const at = [...base, 'profile', key]
    const problem = keyProblem(key)
    if (problem !== null) {
      report(at, problem, 'key')
      continue
    }
    const read = readKey(value, at, { key, ...reading })
    if (read === null) continue
    profile.set(key, read.sources)
    if (read.isExclusive && isChannelKey(key)) exclusive.push(key)
  }
  return { profile, properties: readProperties(section, base, reading), exclusive }
}

function readProperties(
  section: { readonly [key: string]: unknown },
  base: Path,
  { report, names }: SectionsReading,
): readonly PropertiesSource[] {
  if (section.properties === undefined) return []
  const at = [...base, 'properties']
  const parsed = parseSection({ schema: propertiesSchema, value: section.properties, base: at, report })
  const named = isRecord(section.profile) ? section.profile : {}
  const picked = new Set<string>()
  return (parsed ?? []).map(({ from, pick }, index) => {
    names.inFile([...at, index, 'from'])
    for (const [item, key] of (pick ?? []).entries()) {
      const place = [...at, index, 'pick', item]
      if (Object.hasOwn(named, key)) report(place, 'picks what profile gives as well')
      if (picked.has(key)) report(place, 'picks what is picked already')
      picked.add(key)
    }
    return { column: from, pick: pick ?? null }
  })
}

function requireKeys(section: { readonly [key: string]: unknown }, base: Path, { report }: SectionsReading): void {
  const { profile, properties } = section
  const isEmpty = profile === undefined || (isRecord(profile) && Object.keys(profile).length === 0)
  if (isEmpty && properties === undefined)
    report([...base, 'profile'], 'maps nothing: expected at least one key such as $email')
}

function readChildren(value: unknown, users: TableName | null, reading: SectionsReading): readonly ChildSpec[] {
  const { report, names } = reading
  const seen = new Map<string, number>()
  return (Array.isArray(value) ? value : []).flatMap((child: unknown, at): ChildSpec[] => {
    const base = ['children', at]
    const parsed = parseSection({ schema: childSchema, value: child, base, report })
    const section = isRecord(child) ? child : {}
    const contribution = readContribution(section, base, reading)
    if (isRecord(child)) requireKeys(section, base, reading)
    if (parsed === null) return []
    const { table, user, when } = parsed
    for (const at of user.keys()) names.inFile([...base, 'user', at])
    names.inExpression(when, [...base, 'when'])
    const name = `${table.schema}.${table.name}`
    const earlier = seen.get(name)
    if (earlier !== undefined) report([...base, 'table'], `children[${earlier}] is this table already`)
    if (users !== null && `${users.schema}.${users.name}` === name)
      report([...base, 'table'], 'the users table is no child of itself')
    seen.set(name, earlier ?? at)
    return [{ table, user, when: when ?? null, ...contribution }]
  })
}

/** A property has one value, so one table that gives it; the channels of all tables unite. */
function requireOneOwner(own: Contribution, children: readonly ChildSpec[], report: Report): void {
  const owners = new Map<string, string>()
  for (const [at, part] of [own, ...children].entries()) {
    const base: Path = at === 0 ? [] : ['children', at - 1]
    const keys = [...part.profile.keys()].filter((key) => !isChannelKey(key))
    for (const [key, path] of [
      ...keys.map((key) => [key, [...base, 'profile', key]] as const),
      ...part.properties.flatMap(({ pick }, index) =>
        (pick ?? []).map((key, item) => [key, [...base, 'properties', index, 'pick', item]] as const),
      ),
    ]) {
      const owner = owners.get(key)
      if (owner !== undefined && owner !== String(base)) {
        const where = owner === '' ? 'the users table' : `children[${owner.split(',')[1]}]`
        report(path, `is given by ${where} as well; a property has one value`)
      } else owners.set(key, String(base))
    }
  }
}
