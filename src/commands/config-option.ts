// `--config <file>`, the same in every command that reads the mapping file:
// `new Command('check').addOption(configOption())`, then `options.config`.
import { Option } from 'commander'

const DEFAULT_CONFIG_FILE = 'config/suprsync.yaml'

export function configOption(): Option {
  return new Option('-c, --config <file>', 'mapping file').env('SUPRSYNC_CONFIG').default(DEFAULT_CONFIG_FILE)
}
