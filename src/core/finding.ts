// What a check found: the one shape that the preflight of the database, of the state and of the SuprSend key share.

export interface Finding {
  /** Stable, snake_case; listed in docs/errors.md. */
  readonly code: string
  /** `error`: nothing is started. `warning`: worth knowing, nothing is refused. */
  readonly level: 'error' | 'warning'
  /** One sentence for a person; names objects, never values or credentials (P8). */
  readonly message: string
  /** The statements that mend it, where SQL does. */
  readonly sql?: string
  /** Tells apart what one code covers (`server_unreachable`: `refused`, `dns`, `password`, …). */
  readonly cause?: string
}

export function hasErrors(findings: readonly Finding[]): boolean {
  return findings.some((finding) => finding.level === 'error')
}
