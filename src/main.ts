// The process: arguments in, exit code out. Owns the last resorts: an error that nobody caught is printed like any other,
// without the values that Node's own report of it would show (P8), and a reader that went away (`| head`) is no error.
import { EXIT } from './commands/exit-code.ts'
import { describeFailure } from './commands/failure.ts'
import { isDebug, runProgram } from './commands/program.ts'

const args = process.argv.slice(2)
const writeError = (text: string) => void process.stderr.write(text)

process.on('uncaughtException', (error) => {
  writeError(describeFailure(error, { json: args.includes('--json'), debug: isDebug(args, process.env) }))
  process.exit(EXIT.failed)
})
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.done)
  throw error
})

const code = await runProgram({ args, env: process.env, writeError })
// Not process.exit: what was printed must reach its reader first, and a command has closed what it opened.
if (code !== null) process.exitCode = code
