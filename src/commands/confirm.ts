// Before something that cannot be undone: a question on a terminal, `--yes` elsewhere.
import { SuprsyncError } from '../core/error.ts'
import { openDialogue } from './dialogue.ts'

/** @throws SuprsyncError `usage_invalid` without a terminal, `cancelled` */
export async function confirm(question: string, { yes }: { readonly yes?: true | undefined }): Promise<void> {
  if (yes) return
  if (!process.stdin.isTTY) {
    throw new SuprsyncError('usage_invalid', `${question} Nobody is here to be asked: say it with --yes.`)
  }
  using dialogue = openDialogue({ input: process.stdin, output: process.stderr })
  if (!(await dialogue.confirm(question, false))) throw new SuprsyncError('cancelled', 'Nothing was done.')
}
