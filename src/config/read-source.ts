// A source as the file has it → core's source, with references in the place of what came from the environment.
import type { Json } from '../core/json.ts'
import type { Format, From, Source } from '../core/mapping-spec.ts'
import type { ColumnNames } from './column-names.ts'
import type { SecretKeeper } from './constant.ts'
import type { Path } from './document.ts'
import type { Report } from './issues.ts'
import type { ParsedSource } from './source-schema.ts'

export interface Reading {
  readonly key: string
  readonly report: Report
  readonly secrets: SecretKeeper
  readonly names: ColumnNames
}

export interface ReadItem {
  readonly source: Source
  readonly isExclusive: boolean
}

export function sourceFrom(
  parsed: ParsedSource,
  formats: readonly Format[],
  at: Path,
  { secrets, report, names }: Reading,
): Source {
  for (const [from, to] of parsed.map ?? []) {
    if (secrets.holdsVariable(to, [...at, 'map', from]))
      report([...at, 'map', from], 'a map takes nothing from the environment: use a constant')
  }
  if (parsed.value !== undefined && secrets.holdsVariable(parsed.value, [...at, 'value']))
    report([...at, 'value'], 'takes nothing from the environment, for what it makes is stored as it is: use a constant')
  for (const name of ['region', 'provider', 'bundle_id'] as const) {
    if (parsed[name]?.kind === 'column') names.inFile([...at, name, 'column'])
  }
  names.inExpression(parsed.when, [...at, 'when'])
  if (parsed.map !== undefined && parsed.const !== undefined)
    report([...at, 'map'], 'a constant has no map: write what stands for it')
  return {
    from: fromOf(parsed, at, secrets),
    when: parsed.when ?? null,
    map: parsed.map ?? null,
    default: parsed.default === undefined ? null : secrets.seal(parsed.default, [...at, 'default']),
    formats,
    region: parsed.region ?? null,
    provider: parsed.provider ?? null,
    bundleId: parsed.bundle_id ?? null,
  }
}

export interface Constant {
  readonly value: Json
  /** From the source. */
  readonly path: Path
  readonly what: string
}

/** All that a source may yield without a look at the row. */
export function constantsOf({ const: constant, default: fallback, map }: ParsedSource): readonly Constant[] {
  if (constant !== undefined && map !== undefined) return []
  return [
    ...(constant === undefined ? [] : [{ value: constant, path: ['const'], what: 'the constant' }]),
    ...(fallback === undefined ? [] : [{ value: fallback, path: ['default'], what: 'the default' }]),
    ...[...(map ?? [])].map(([from, value]) => ({ value, path: ['map', from], what: 'what stands for it' })),
  ]
}

function fromOf(parsed: ParsedSource, at: Path, secrets: SecretKeeper): From {
  if (parsed.column !== undefined) return { kind: 'column', column: parsed.column }
  if (parsed.value !== undefined) return { kind: 'value', expression: parsed.value }
  return { kind: 'const', value: secrets.seal(parsed.const ?? null, [...at, 'const']) }
}
