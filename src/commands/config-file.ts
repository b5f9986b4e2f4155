// The configuration that a command was given, from the disk and the environment, with the file that holds its API key.
import { open, readFile, stat } from 'node:fs/promises'
import { readKeyFile } from '../config/api-key.ts'
import type { Config } from '../config/config.ts'
import { loadConfig } from '../config/load.ts'
import { SuprsyncError } from '../core/error.ts'

export async function readConfig(path: string): Promise<Config> {
  return await loadConfig({ path, env: process.env, readFile: readTextFile })
}

/** The API key as its file has it now. Never rejects. */
export function readKey(file: string): ReturnType<typeof readKeyFile> {
  return readKeyFile(file, readTextFile)
}

/** @param maxBytes then it has to be a regular file, a pipe would be waited for; one byte more tells that it is longer. */
async function readTextFile(path: string, maxBytes?: number): Promise<string> {
  if (maxBytes === undefined) return await readFile(path, 'utf8')
  const found = await stat(path)
  if (!found.isFile() && !found.isDirectory()) throw new SuprsyncError('not_a_file', 'This is no regular file.')
  await using file = await open(path)
  const buffer = Buffer.alloc(maxBytes + 1)
  let length = 0
  for (let read = -1; read !== 0 && length < buffer.length; length += read) {
    read = (await file.read(buffer, length, buffer.length - length)).bytesRead
  }
  return buffer.toString('utf8', 0, length)
}
