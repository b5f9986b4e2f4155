// Every command's name and summary, and where it lives. A command's module, and all it needs, is loaded only when that
// command is asked for: `suprsync --help` must not wait for PostgreSQL and HTTP libraries.
import type { Command } from 'commander'

export interface CatalogEntry {
  readonly name: string
  readonly summary: string
  readonly load: () => Promise<Command>
}

export const CATALOG: readonly CatalogEntry[] = [
  {
    name: 'init',
    summary: 'look at the database and write a mapping file to start from',
    load: async () => (await import('./init.ts')).initCommand(),
  },
  {
    name: 'run',
    summary: 'follow the users table and keep SuprSend equal to it',
    load: async () => (await import('./run.ts')).runCommand(),
  },
  {
    name: 'check',
    summary: 'verify every precondition and print the SQL that mends what is missing',
    load: async () => (await import('./check.ts')).checkCommand(),
  },
  {
    name: 'plan',
    summary: 'show what would be sent for each user; send nothing',
    load: async () => (await import('./plan.ts')).planCommand(),
  },
  {
    name: 'status',
    summary: 'show the checkpoint, the slot, what is pending and what failed',
    load: async () => (await import('./status.ts')).statusCommand(),
  },
  {
    name: 'failed',
    summary: 'list the profiles that were set aside, or send them again',
    load: async () => (await import('./failed.ts')).failedCommand(),
  },
  {
    name: 'backfill',
    summary: 'read rows again while the service runs',
    load: async () => (await import('./backfill.ts')).backfillCommand(),
  },
  {
    name: 'reconcile',
    summary: 'compare what SuprSend holds with the table, and mend it',
    load: async () => (await import('./reconcile.ts')).reconcileCommand(),
  },
  {
    name: 'approve',
    summary: 'send what the circuit breaker holds',
    load: async () => (await import('./approve.ts')).approveCommand(),
  },
  {
    name: 'reject',
    summary: 'keep the users whom the circuit breaker holds',
    load: async () => (await import('./approve.ts')).rejectCommand(),
  },
  {
    name: 'erase',
    summary: 'delete one user in SuprSend and every trace of it in the state',
    load: async () => (await import('./erase.ts')).eraseCommand(),
  },
  {
    name: 'teardown',
    summary: 'drop the slot, the publication and the state',
    load: async () => (await import('./teardown.ts')).teardownCommand(),
  },
  {
    name: 'schema',
    summary: 'print the JSON Schema of the mapping file, for editors',
    load: async () => (await import('./schema.ts')).schemaCommand(),
  },
  {
    name: 'emulate',
    summary: 'serve a local SuprSend to develop and test against',
    load: async () => (await import('./emulate.ts')).emulateCommand(),
  },
  {
    name: 'demo',
    summary: 'show all of it at work with an embedded PostgreSQL, in half a minute',
    load: async () => (await import('./demo.ts')).demoCommand(),
  },
]
