// What a sender does from joining the others until it leaves them: its buckets, the deliveries of their users, and the comparing of some of
// them. Ends when told, or when its session is lost: then nothing of it goes on.
import type { SenderSession } from '../core/sender-port.ts'
import type { BucketShare } from './bucket-share.ts'
import type { Deliver } from './deliver.ts'
import type { HeldBuckets } from './held-buckets.ts'
import type { Reconcile } from './reconcile.ts'
import type { DeliveryTerm } from './service.ts'

export interface TermOptions {
  readonly session: SenderSession
  readonly buckets: HeldBuckets
  readonly deliver: Deliver
  readonly share: BucketShare
  readonly reconcile: Reconcile | null
  readonly onOver: () => void
}

export function deliveryTerm({ session, buckets, deliver, share, reconcile, onOver }: TermOptions): DeliveryTerm {
  return {
    lost: session.lost,
    get buckets() {
      return buckets.size
    },
    run: async (stop, destroy) => {
      // Why the sharing failed; what is in hand can then not be told apart from what is another's.
      const failed = new AbortController()
      const drained = new AbortController()
      const ending = AbortSignal.any([stop, destroy, failed.signal])
      const sharing = share.run(stop, AbortSignal.any([drained.signal, destroy])).catch((error: unknown) => {
        failed.abort()
        if (!destroy.aborted) throw error
      })
      const reconciling = reconcile?.run(ending)
      const delivering = deliver.run(stop, AbortSignal.any([destroy, failed.signal])).finally(() => drained.abort())
      const ended = await Promise.allSettled([sharing, delivering, reconciling])
      for (const end of ended) if (end.status === 'rejected') throw end.reason
    },
    [Symbol.asyncDispose]: async () => {
      onOver()
      await session[Symbol.asyncDispose]()
    },
  }
}
