// Findings as a person reads them: one block each, the code in a column of its own, the SQL that mends it below. Marks
// stand for the level on a terminal; elsewhere the level is written out, so that it can be searched for.
import type { Finding } from '../core/finding.ts'

const MARKS: Readonly<Record<Finding['level'], string>> = { error: '✗', warning: '!' }

/** Without a newline at its end. */
export function formatFindings(findings: readonly Finding[], options: { readonly terminal: boolean }): string {
  const level = (finding: Finding) => (options.terminal ? MARKS[finding.level] : finding.level)
  const levelWidth = Math.max(0, ...findings.map((finding) => level(finding).length))
  const codeWidth = Math.max(0, ...findings.map((finding) => finding.code.length))
  const indent = ' '.repeat(levelWidth + codeWidth + 4)
  const blocks = findings.map((finding) => {
    const head = `${level(finding).padEnd(levelWidth)}  ${finding.code.padEnd(codeWidth)}  ${finding.message}`
    const statements = finding.sql === undefined ? [] : finding.sql.split('\n').map((line) => indent + line)
    return [head, ...statements].join('\n')
  })
  return [...blocks, summary(findings, options.terminal)].join('\n')
}

function summary(findings: readonly Finding[], terminal: boolean): string {
  const errors = findings.filter((finding) => finding.level === 'error').length
  const warnings = findings.length - errors
  const counted = [count(errors, 'error'), count(warnings, 'warning')].filter((part) => part !== '').join(', ')
  if (errors > 0) return `${counted}: nothing was started or changed.`
  return `${terminal ? '✓ ' : ''}Everything that is needed is there${counted === '' ? '' : ` (${counted})`}.`
}

function count(number: number, what: string): string {
  if (number === 0) return ''
  return `${number} ${what}${number === 1 ? '' : 's'}`
}
