// `--log-level <level>`, the same in every command that logs. Without it the mapping file's `log.level` holds.
import { Option } from 'commander'
import type { LogLevel } from '../core/logger.ts'

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']

export function logLevelOption(): Option {
  return new Option('--log-level <level>', "overrides the mapping file's log.level").choices(LEVELS)
}
