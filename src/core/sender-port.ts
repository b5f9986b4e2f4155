// What a sender needs of its session on the state's server: its place among the others, its buckets, and whether it still has them.
// Implemented by state/sender-session.ts.
import type { SharingView } from './buckets.ts'
import type { HostNews } from './host-state.ts'

export interface SenderReport {
  readonly buckets: number
  readonly inHand: number
  /** Users of this sender that SuprSend accepted a second, of late. */
  readonly acceptedPerSecond: number
}

export interface SendersView extends SharingView {
  /** What SuprSend answered others, who ask with the same key, and still holds. */
  readonly news: readonly HostNews[]
  /** Sessions of senders that have made no progress for too long. */
  readonly stuck: readonly { readonly pid: number; readonly id: string; readonly silentMs: number }[]
}

export interface SenderSession extends AsyncDisposable {
  /** Names it in claims. */
  readonly id: string
  /** Nobody else sent anything within the last seconds. */
  readonly isFirst: boolean
  /** Resolves with the reason when the session is gone, and with it every bucket. */
  readonly lost: Promise<unknown>
  /** Whether it is still there: asks the server. */
  confirm(): Promise<boolean>
  /** @param beat what to tell the others: that progress is made; null: not this time. */
  look(beat: SenderReport | null): Promise<SendersView>
  /** @returns those it got; whoever had them before can claim nothing any more. None while somebody who is gone still claims. */
  take(buckets: readonly number[]): Promise<readonly number[]>
  give(buckets: readonly number[]): Promise<void>
  tell(news: HostNews): Promise<void>
  /** Ends the session of a sender that is stuck, unless it is another one meanwhile. `denied`: this one's role may not. */
  end(pid: number, id: string): Promise<'ended' | 'gone' | 'denied'>
}
