// Whether a parsed value is a mapping of keys: neither a list nor nothing.

export function isRecord(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
