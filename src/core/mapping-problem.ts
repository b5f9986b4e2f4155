// What a mapping has against the tables that it is compiled for.

export interface MappingProblem {
  readonly code:
    | 'unknown_column'
    | 'unsupported_type'
    | 'invalid_when'
    | 'invalid_value'
    | 'user_key_mismatch'
    | 'child_not_unique'
  /** The configuration's key: `user.distinct_id`, `profile.$email`. */
  readonly path: string
  readonly column: string | null
  readonly message: string
  /** Columns whose type would have to be another. */
  readonly retype?: readonly Retype[]
}

export interface Retype {
  readonly table: { readonly schema: string; readonly name: string }
  readonly column: string
  /** As `format_type` prints it. */
  readonly type: string
  /** It must get a collation in which texts are equal only letter by letter. */
  readonly recollate: boolean
  /** What whoever runs it should know first. */
  readonly note: string | null
}
