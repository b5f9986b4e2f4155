// Marks in zod's metadata that json-schema.ts turns into JSON Schema, where the two cannot say the same in one word.

/** A list, or a single item in its place. */
export const ONE_OR_MORE = 'x-one-or-more'
/** `off` may stand for the whole. */
export const OR_OFF = 'x-or-off'
