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
}
