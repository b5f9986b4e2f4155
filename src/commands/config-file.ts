// The configuration that a command was given, from the disk and the environment.
import { readFile } from 'node:fs/promises'
import type { Config } from '../config/config.ts'
import { loadConfig } from '../config/load.ts'

export async function readConfig(path: string): Promise<Config> {
  return await loadConfig({ path, env: process.env, readFile: (file) => readFile(file, 'utf8') })
}
