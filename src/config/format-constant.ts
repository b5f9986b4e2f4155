// What a constant of the mapping becomes when its formats are applied: as on a row, but now, once, and for everybody.
import { applyFormat, type Formatted } from '../core/formats.ts'
import type { Json } from '../core/json.ts'
import type { Source } from '../core/mapping-spec.ts'

/** `of_row`: it depends on the row's own country. */
export type FormattedConstant = Formatted | { readonly kind: 'of_row' }

export function formatConstant(
  constant: Json,
  { formats, region }: Pick<Source, 'formats' | 'region'>,
): FormattedConstant {
  if (region?.kind === 'column') return { kind: 'of_row' }
  let value: Json = constant
  for (const format of formats) {
    const formatted = applyFormat(format, value, { region: region?.value ?? null })
    if (formatted.kind === 'invalid') return formatted
    value = formatted.value
  }
  return value === null ? EMPTY : { kind: 'value', value }
}

const EMPTY: Formatted = { kind: 'invalid', code: 'empty', message: 'empty' }
