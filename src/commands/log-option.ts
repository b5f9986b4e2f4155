// `--log-level <level>`, the same in every command that logs. Without it the mapping file's `log.level` holds.
import { Option } from 'commander'
import { LOG_LEVELS } from '../core/logger.ts'

export function logLevelOption(): Option {
  return new Option('--log-level <level>', "overrides the mapping file's log.level").choices(LOG_LEVELS)
}
