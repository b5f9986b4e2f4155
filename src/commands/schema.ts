// `suprsync schema`: the JSON Schema of the mapping file, for editors. The copy in config/ is what this prints.
import { Command } from 'commander'
import { configJsonSchema } from '../config/json-schema.ts'
import { printJson } from './output.ts'

const EXAMPLES = `
Examples:
  $ suprsync schema > suprsync.schema.json

Then, as the first line of the mapping file, for editors with a YAML language server:
  # yaml-language-server: $schema=./suprsync.schema.json
`

export function schemaCommand(): Command {
  return new Command('schema')
    .description('print the JSON Schema of the mapping file, for editors')
    .addHelpText('after', EXAMPLES)
    .action(() => printJson(configJsonSchema()))
}
