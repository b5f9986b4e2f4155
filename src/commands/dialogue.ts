// Questions on a terminal and their answers, one line each. Lines that arrive before they are asked for (pasted, piped in) wait
// their turn. Ctrl-C, Ctrl-D and the end of the input are one answer: to stop, before anything was done.
import { createInterface } from 'node:readline'
import { SuprsyncError } from '../core/error.ts'

export interface Dialogue extends Disposable {
  /** The answer without blanks around it; the default for an empty one. */
  ask(question: string, fallback: string): Promise<string>
  confirm(question: string, fallback: boolean): Promise<boolean>
  say(text: string): void
}

export interface DialogueOptions {
  readonly input: NodeJS.ReadableStream
  /** stderr: what a command prints stays clean. */
  readonly output: NodeJS.WritableStream
}

export function openDialogue({ input, output }: DialogueOptions): Dialogue {
  const lines = createInterface({ input, output })
  const answers = lines[Symbol.asyncIterator]()
  let hasEnded = false
  lines.once('close', () => {
    hasEnded = true
  })
  const ask = async (question: string, fallback: string): Promise<string> => {
    const prompt = fallback === '' ? `${question} ` : `${question} [${fallback}] `
    // Piped input may be over while lines of it still wait.
    if (hasEnded) output.write(prompt)
    else {
      lines.setPrompt(prompt)
      lines.prompt()
    }
    const answer = await answers.next()
    if (answer.done === true) {
      output.write('\n')
      throw new SuprsyncError('cancelled', 'Stopped before the end of the questions; nothing was done.')
    }
    return answer.value.trim() || fallback
  }
  return {
    ask,
    confirm: async (question, fallback) => {
      for (;;) {
        const answer = (await ask(`${question} (y/n)`, fallback ? 'y' : 'n')).toLowerCase()
        if (/^y(es)?$/.test(answer)) return true
        if (/^no?$/.test(answer)) return false
        output.write('Please answer y or n.\n')
      }
    },
    say: (text) => {
      output.write(`${text}\n`)
    },
    [Symbol.dispose]: () => lines.close(),
  }
}
