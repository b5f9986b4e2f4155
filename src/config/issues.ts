// zod's issues as problems of the file: where each stands, what was expected, what was found, and for an unknown key the
// nearest known one.
import { z } from 'zod'
import { suggestion } from '../core/nearest.ts'
import type { ConfigDocument, Path } from './document.ts'
import { type ConfigProblem, shapeOf } from './problem.ts'

/** Parses the part of the document at `base`; null when it has problems, which are then in `problems`. */
export function parseSection<S extends z.ZodType>(input: {
  readonly schema: S
  readonly value: unknown
  readonly base: Path
  readonly report: (path: Path, message: string, at?: 'key' | 'value') => void
}): z.output<S> | null {
  const { schema, value, base, report } = input
  const result = schema.safeParse(value, { reportInput: true })
  if (result.success) return result.data
  for (const issue of result.error.issues) {
    const path = [...base, ...issue.path]
    if (issue.code === 'unrecognized_keys') {
      const known = keysAt(schema, issue.path)
      for (const key of issue.keys) report([...path, key], unknownKey(key, known), 'key')
    } else report(path, messageOf(issue))
  }
  return null
}

export type Report = ReturnType<typeof reporter>

/** Makes the `report` that places each message in the file and drops what only follows from a problem already reported. */
export function reporter(file: string, document: ConfigDocument, problems: ConfigProblem[]) {
  return (path: Path, message: string, at: 'key' | 'value' = 'value'): void => {
    const place = document.locate(path, at)
    if (place.isReported) return
    const variables = place.variables.length === 0 ? '' : ` (from the environment: ${place.variables.join(', ')})`
    problems.push({ file, line: place.line, column: place.column, path: place.path, message: message + variables })
  }
}

function messageOf(issue: z.core.$ZodIssue): string {
  // zod's own wording, "Invalid input: expected object, received null", where a schema brings none.
  if (issue.code !== 'invalid_type' || !issue.message.startsWith('Invalid input')) return issue.message
  const expected = issue.expected === 'object' || issue.expected === 'record' ? 'a mapping of keys' : issue.expected
  return issue.input === undefined
    ? `is missing: expected ${expected}`
    : `expected ${expected}, found ${shapeOf(issue.input)}`
}

function unknownKey(key: string, known: readonly string[]): string {
  return `unknown key${suggestion(key, known) || `; known here: ${known.join(', ')}`}`
}

/** The keys of the object schema at a path, whatever is wrapped around it. */
function keysAt(schema: z.core.$ZodType, path: Path): readonly string[] {
  const here = unwrap(schema)
  const [segment, ...rest] = path
  if (here instanceof z.ZodObject) {
    if (segment === undefined) return Object.keys(here.shape)
    const inner: z.core.$ZodType | undefined = here.shape[String(segment)]
    return inner === undefined ? [] : keysAt(inner, rest)
  }
  return here instanceof z.ZodArray && segment !== undefined ? keysAt(here.element, rest) : []
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return unwrap(schema.def.innerType)
  }
  // preprocess: a transform in front of the schema that counts.
  return schema instanceof z.ZodPipe ? unwrap(schema.def.out) : schema
}
