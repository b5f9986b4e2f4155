// Tells what happens while it happens: puts each committed change and each answered call into the ledger, and prints one
// line when the two have met. Owns nothing but the tone; the counting is the ledger's.
import type { MappedRow } from '../core/mapping.ts'
import type { TextRow } from '../core/row.ts'
import type { HistoryEntry } from '../emulator/history.ts'
import type { RequestLine } from '../emulator/user-api.ts'
import type { RowChange } from './application.ts'
import { describeCall } from './call-text.ts'
import type { Call, Ledger, Settled } from './ledger.ts'
import type { Screen } from './screen.ts'

export interface NarratorOptions {
  readonly screen: Screen
  readonly ledger: Ledger
  readonly map: (row: TextRow) => MappedRow
}

/** `live`: what the application did. `silent`: nothing, it is counted only. `calls`: calls that nobody here asked for. */
export type Telling = 'live' | 'silent' | 'calls'

export class Narrator {
  readonly #options: NarratorOptions
  telling: Telling = 'silent'

  constructor(options: NarratorOptions) {
    this.#options = options
  }

  committed(change: RowChange, { measured }: { readonly measured: boolean }): void {
    const { row, ...rest } = change
    const mapped = row === null ? null : this.#options.map(row)
    const expected = mapped?.kind === 'user' ? mapped.profile : null
    const settled = this.#options.ledger.committed({ ...rest, expected, measured })
    if (settled) this.#tell(settled)
  }

  /** `newest`: the newest applied request of the user. */
  called(line: RequestLine & { readonly distinctId: string }, newest: HistoryEntry | undefined, atMs: number): void {
    const applied = typeof line.status === 'number' && line.status < 300
    const call: Call = {
      distinctId: line.distinctId,
      method: line.method,
      status: line.status,
      body: applied ? (newest?.body ?? null) : null,
      state: newest?.state ?? null,
      atMs,
    }
    const settled = this.#options.ledger.called(call)
    if (settled) this.#tell(settled)
    else if (this.telling === 'calls') this.#tellCall(call)
  }

  /** What asks nothing of SuprSend. */
  nothing(event: { readonly verb: string; readonly who: string; readonly what: string; readonly why: string }): void {
    const pieces = [{ text: event.why, tone: 'dim' }] as const
    this.#options.screen.event({ ...event, call: '', pieces, latencyMs: null })
  }

  #tell({ call, changes, latencyMs }: Settled): void {
    if (this.telling === 'silent') return
    const newest = changes.at(-1) ?? changes[0]
    const more = changes.length > 1 ? ` (and ${changes.length - 1} before)` : ''
    this.#options.screen.event({
      verb: newest.kind.toUpperCase(),
      who: newest.name,
      what: newest.detail + more,
      call: call.method,
      pieces: describeCall(call),
      latencyMs,
    })
  }

  #tellCall(call: Call): void {
    const who = `user ${call.distinctId}`
    const pieces = describeCall(call)
    this.#options.screen.event({ verb: '', who, what: '', call: call.method, pieces, latencyMs: null })
  }
}
