// A Node.js that is too old for suprsync: the machine's own where it is, else this one under a preload that claims so.
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

export interface OldNode {
  readonly path: string
  readonly args: readonly string[]
  /** As the message of bin/suprsync.js names it. */
  readonly version: string
}

const NEEDED = 24

/** @param directory where the preload may be written. */
export async function oldestNode(directory: string): Promise<OldNode> {
  // npm puts the project's own Node in front: that one is new enough.
  for (const folder of (process.env.PATH ?? '').split(delimiter).filter((path) => !path.includes('node_modules'))) {
    const path = join(folder, 'node')
    const version = await versionOf(path)
    if (version !== null && Number(/^v(\d+)\./.exec(version)?.[1]) < NEEDED) return { path, args: [], version }
  }
  const preload = join(directory, 'old-node.cjs')
  await writeFile(
    preload,
    `Object.defineProperties(process, {
       version: { value: 'v20.0.0' },
       versions: { value: { ...process.versions, node: '20.0.0' } },
     })\n`,
  )
  return { path: process.execPath, args: ['--require', preload], version: 'v20.0.0' }
}

/** Null where there is none. */
function versionOf(path: string): Promise<string | null> {
  return new Promise((resolve) => {
    execFile(path, ['--version'], (error, stdout) => resolve(error ? null : stdout.trim()))
  })
}
