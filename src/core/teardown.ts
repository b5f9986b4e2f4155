// What `teardown` takes away, in which order, and what it leaves because it is not ours alone. Pure.
import { isAhead, type SlotKnowledge, type SlotOfName, whyForeign } from './slot-ownership.ts'

export interface TeardownFacts {
  readonly slotName: string
  readonly publicationName: string
  readonly schemaName: string
  readonly database: string
  readonly slot: SlotOfName | null
  /** What the state knows of it; null: there is no state. */
  readonly known: SlotKnowledge | null
  /** Null: there is no such publication; `all`: it is for all tables or whole schemas. */
  readonly published: readonly string[] | 'all' | null
  /** As `published` names them: `schema.table`. */
  readonly followed: readonly string[]
  /** Tables in it that are not ours; null: there is no schema; `kept`: it was asked to stay. */
  readonly schema: { readonly users: number; readonly foreign: readonly string[] } | 'kept' | null
}

export interface TeardownStep {
  readonly kind: 'drop_slot' | 'drop_publication' | 'drop_schema'
  readonly name: string
  readonly what: string
}

export interface TeardownPlan {
  readonly steps: readonly TeardownStep[]
  readonly left: readonly { readonly name: string; readonly why: string }[]
}

function whoDrops(slot: string): string {
  return `the server keeps WAL for it: if nobody uses it, SELECT pg_drop_replication_slot('${slot}')`
}

export function decideTeardown(facts: TeardownFacts): TeardownPlan {
  const steps: TeardownStep[] = []
  const left: { name: string; why: string }[] = []
  const { slot, slotName, published, publicationName, schema, schemaName } = facts
  const known = facts.known ?? { intended: false, lsn: null }
  const foreign = slot && whyForeign(slot, facts.database, known)
  if (slot === null) left.push({ name: `slot ${slotName}`, why: 'it does not exist' })
  else if (foreign !== null) left.push({ name: `slot ${slotName}`, why: `${foreign}; ${whoDrops(slotName)}` })
  else {
    // `run` would go on with it, and afterwards nothing of ours knows it any more.
    const since = isAhead(slot, known) ? ', which somebody made anew or advanced since it was last captured from' : ''
    const what = `drop the replication slot ${slotName}${since}: its WAL is freed`
    steps.push({ kind: 'drop_slot', name: slotName, what })
  }

  const others =
    published === 'all' || published === null ? [] : published.filter((table) => !facts.followed.includes(table))
  if (published === null) left.push({ name: `publication ${publicationName}`, why: 'it does not exist' })
  else if (published === 'all') {
    left.push({
      name: `publication ${publicationName}`,
      why: 'it is for all tables, or for whole schemas: not ours alone',
    })
  } else if (others.length > 0) {
    left.push({
      name: `publication ${publicationName}`,
      why: `it publishes other tables as well: ${others.join(', ')}`,
    })
  } else {
    steps.push({ kind: 'drop_publication', name: publicationName, what: `drop the publication ${publicationName}` })
  }

  if (schema === null) left.push({ name: `schema ${schemaName}`, why: 'it does not exist' })
  else if (schema === 'kept') left.push({ name: `schema ${schemaName}`, why: 'asked for by --keep-state' })
  else if (schema.foreign.length > 0) {
    left.push({ name: `schema ${schemaName}`, why: `it holds tables that are not ours: ${schema.foreign.join(', ')}` })
  } else {
    const users = `${schema.users.toLocaleString('en-US')} users`
    const what = `drop the schema ${schemaName} with all that is known of ${users}`
    steps.push({ kind: 'drop_schema', name: schemaName, what })
  }
  return { steps, left }
}
