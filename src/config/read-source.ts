// A source as the file has it → core's source, with references in the place of what came from the environment.
import type { Format, From, Source } from '../core/mapping-spec.ts'
import type { SecretKeeper } from './constant.ts'
import type { Path } from './document.ts'
import type { Report } from './issues.ts'
import type { ParsedSource } from './source-schema.ts'

export interface Reading {
  readonly key: string
  readonly report: Report
  readonly secrets: SecretKeeper
}

export interface ReadItem {
  readonly source: Source
  readonly isExclusive: boolean
}

export function sourceFrom(
  parsed: ParsedSource,
  formats: readonly Format[],
  at: Path,
  { secrets, report }: Reading,
): Source {
  for (const [from, to] of parsed.map ?? []) {
    if (secrets.holdsVariable(to, [...at, 'map', from]))
      report([...at, 'map', from], 'a map takes nothing from the environment: use a constant')
  }
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

function fromOf(parsed: ParsedSource, at: Path, secrets: SecretKeeper): From {
  if (parsed.column !== undefined) return { kind: 'column', column: parsed.column }
  if (parsed.value !== undefined) return { kind: 'value', expression: parsed.value }
  return { kind: 'const', value: secrets.seal(parsed.const ?? null, [...at, 'const']) }
}
