// The JSON Schema of the configuration, for editors: made of the same zod definitions that read the file. It knows what keys there
// are and what shape their values have; what only the loader can tell (CEL, formats, what fits together) it leaves to `check`.
import { z } from 'zod'
import { OBJECT_FIELDS } from '../core/channel-shape.ts'
import { CHANNEL_KEYS, type ChannelKey, RESERVED_PROPERTIES } from '../core/profile.ts'
import { ONE_OR_MORE, OR_OFF } from './json-shape.ts'
import { childSchema, configSchema, propertiesSchema } from './schema.ts'
import { plainSource } from './source-schema.ts'

type Shape = Record<string, unknown>

const SOURCE = { $ref: '#/definitions/source' }

export function configJsonSchema(): Shape {
  const config = shapeOf(configSchema)
  const child = shapeOf(childSchema)
  const mapping = { profile: PROFILE, properties: shapeOf(propertiesSchema) }
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'suprsync mapping file',
    description: 'Which rows of a PostgreSQL table become which SuprSend profiles. docs/mapping.md explains every key.',
    ...config,
    properties: {
      ...Object(config.properties),
      ...mapping,
      children: {
        type: 'array',
        items: { $ref: '#/definitions/child' },
        description: 'tables whose rows belong to a user',
      },
    },
    definitions: {
      source: sourceShape(),
      profile: profileShape(),
      child: { ...child, properties: { ...Object(child.properties), ...mapping } },
    },
  }
}

const PROFILE = { $ref: '#/definitions/profile' }

function shapeOf(schema: z.ZodType): Shape {
  const { $schema: _, ...shape } = z.toJSONSchema(schema, {
    target: 'draft-7',
    io: 'input',
    unrepresentable: 'any',
    override: ({ jsonSchema }) => {
      const node = jsonSchema as Shape
      // What zod fills in is the read form, not what a file would say.
      delete node.default
      if (node[ONE_OR_MORE] === true) replace(node, { anyOf: [node.items, without(node, ONE_OR_MORE)] })
      if (node[OR_OFF] === true) replace(node, { anyOf: [without(node, OR_OFF), { enum: ['off', false] }] })
    },
  }) as Shape
  return shape
}

function without(node: Shape, mark: string): Shape {
  const { [mark]: _, ...rest } = node
  return rest
}

function replace(node: Shape, by: Shape): void {
  for (const key of Object.keys(node)) delete node[key]
  Object.assign(node, by)
}

/** A column's name, or what says where the value comes from. */
function sourceShape(): Shape {
  const kinds = ['column', 'value', 'const'].map((kind) => ({ required: [kind] }))
  return {
    anyOf: [
      { type: 'string', description: "a column's name" },
      { ...shapeOf(plainSource), oneOf: kinds },
    ],
  }
}

function profileShape(): Shape {
  const channels = CHANNEL_KEYS.map((key) => [key, channelShape(key)])
  const others = RESERVED_PROPERTIES.map((key) => [key, SOURCE])
  return {
    type: 'object',
    description: 'keys of the JSON that SuprSend receives',
    properties: Object.fromEntries([...channels, ...others]),
    // Any other name is a custom property.
    patternProperties: { '^(?!\\$|[sS][sS]_|\\s|__proto__$)[\\s\\S]{0,254}\\S$': SOURCE },
    additionalProperties: false,
  }
}

function channelShape(key: ChannelKey): Shape {
  const one = OBJECT_FIELDS[key] === undefined ? SOURCE : { anyOf: [SOURCE, fieldsShape(OBJECT_FIELDS[key])] }
  return { anyOf: [one, { type: 'array', minItems: 1, items: one }] }
}

function fieldsShape(fields: readonly string[]): Shape {
  const plain = fields.filter((field) => !field.includes('.'))
  const members = fields.filter((field) => field.includes('.')).map((field) => field.split('.')[1] ?? field)
  const nested = (names: readonly string[]) => ({
    type: 'object',
    properties: Object.fromEntries(names.map((name) => [name, SOURCE])),
    required: names,
    additionalProperties: false,
  })
  const properties: Shape = Object.fromEntries(plain.map((field) => [field, SOURCE]))
  if (members.length > 0) properties.keys = nested(members)
  if (fields.includes('incoming_webhook')) properties.incoming_webhook = { anyOf: [SOURCE, nested(['url'])] }
  const { when, exclusive } = Object(shapeOf(plainSource).properties)
  return {
    type: 'object',
    properties: { ...properties, when, exclusive },
    additionalProperties: false,
    minProperties: 1,
  }
}
