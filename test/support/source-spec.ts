// Sources and mappings as the configuration would give them, with what a test leaves open.
import type { From, MappingSpec, Source } from '../../src/core/mapping-spec.ts'

/** A column's name, or where else the value comes from. */
export function sourceOf(from: string | From, more: Partial<Source> = {}): Source {
  return {
    from: typeof from === 'string' ? { kind: 'column', column: from } : from,
    ...{ when: null, default: null, map: null, formats: [], region: null, provider: null, bundleId: null },
    ...more,
  }
}

export function specOf(profile: Record<string, readonly Source[]>, more: Partial<MappingSpec> = {}): MappingSpec {
  return {
    distinctId: { kind: 'column', column: 'id' },
    when: null,
    onDelete: 'delete',
    profile: new Map(Object.entries(profile)),
    properties: [],
    exclusive: [],
    children: [],
    ...more,
  }
}
