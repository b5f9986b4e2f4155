// Vitest's globalSetup of the projects that need PostgreSQL: one server a run, its URL provided as `postgresUrl`.
import type { TestProject } from 'vitest/node'
import { type SharedServer, startSharedServer } from './shared-server.ts'

declare module 'vitest' {
  interface ProvidedContext {
    postgresUrl: string
  }
}

// Both projects run in one process: they share the server, and the last teardown closes it.
let shared: { readonly server: Promise<SharedServer>; users: number } | null = null

export async function setup(project: TestProject): Promise<void> {
  shared ??= { server: startSharedServer(), users: 0 }
  shared.users += 1
  project.provide('postgresUrl', (await shared.server).url)
}

export async function teardown(): Promise<void> {
  if (!shared) return
  shared.users -= 1
  if (shared.users > 0) return
  const { server } = shared
  shared = null
  await (await server).close()
}
