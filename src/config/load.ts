// File + environment → one frozen Config, or a ConfigError with every problem at once. The only entry to this folder;
// touches nothing but the reader it is given, by which it also reads the file that holds the API key.
import { errorCode, errorMessage } from '../core/error.ts'
import { databaseName, defaultSlotName } from './address.ts'
import { type ApiKey, type ReadFile, readApiKey } from './api-key.ts'
import { ColumnNames } from './column-names.ts'
import type { Config } from './config.ts'
import { SecretKeeper } from './constant.ts'
import { parseConfigDocument } from './document.ts'
import type { Environment } from './interpolation.ts'
import { parseSection, reporter } from './issues.ts'
import { type MappingSections, readMapping } from './mapping-sections.ts'
import { ConfigError, type ConfigProblem, shapeOf } from './problem.ts'
import { isRecord } from './record.ts'
import { type ConfigFile, configSchema } from './schema.ts'
import { Secret } from './secret.ts'

/** A sign of life is a second long, and looked for every second: with less, senders would end one another. */
const LEAST_STUCK_AFTER_MS = 3_000

export interface LoadOptions {
  readonly path: string
  readonly env: Environment
  readonly readFile: ReadFile
}

/** @throws ConfigError */
export async function loadConfig({ path, env, readFile }: LoadOptions): Promise<Config> {
  const text = await readText(path, readFile)
  const parsed = parseConfigDocument({ file: path, text, env })
  if (parsed.kind === 'invalid') throw new ConfigError(path, parsed.problems)
  const { document } = parsed
  if (!isRecord(document.value)) {
    throw fileError(
      path,
      `expected the mapping of keys that config/suprsync.yaml explains, found ${shapeOf(document.value)}`,
    )
  }
  const problems: ConfigProblem[] = [...document.problems]
  const report = reporter(path, document, problems)
  const file = parseSection({ schema: configSchema, value: document.value, base: [], report })
  const secrets = new SecretKeeper((at) => document.locate(at).variables)
  const names = new ColumnNames(document.locate, report)
  if (file !== null) checkUser(file.user, names)
  const sections = readMapping(document.value, file?.source.table ?? null, { report, secrets, names })
  const apiKey = await readApiKey(document.value, { report, readFile, mappingFile: path })
  if (problems.length > 0 || file === null || apiKey === null) throw new ConfigError(path, problems.toSorted(byPlace))
  const { places } = document
  return deepFreeze(resolve(path, file, { sections, apiKey, places, mappingSecrets: secrets.texts }))
}

function checkUser({ distinct_id: id, when }: ConfigFile['user'], names: ColumnNames): void {
  if (id.kind === 'column') names.inFile(['user', 'distinct_id', 'column'])
  else names.inExpression(id.expression, ['user', 'distinct_id', 'value'])
  names.inExpression(when, ['user', 'when'])
}

async function readText(path: string, readFile: ReadFile): Promise<string> {
  try {
    return await readFile(path)
  } catch (error) {
    const message =
      errorCode(error) === 'ENOENT'
        ? 'this file does not exist. Copy the commented example config/suprsync.yaml, or name another file with --config'
        : `this file cannot be read: ${errorMessage(error)}`
    throw fileError(path, message, error)
  }
}

function fileError(file: string, message: string, cause?: unknown): ConfigError {
  return new ConfigError(file, [{ file, line: 1, column: 1, path: '', message }], cause)
}

function byPlace(a: ConfigProblem, b: ConfigProblem): number {
  return a.line - b.line || a.column - b.column
}

type Read = { readonly sections: MappingSections; readonly apiKey: ApiKey } & Pick<Config, 'mappingSecrets' | 'places'>

function resolve(path: string, file: ConfigFile, { sections, apiKey, ...read }: Read): Config {
  const { source, state, suprsend, user } = file
  const url = source.url.reveal()
  return {
    file: path,
    source: {
      url: source.url,
      table: source.table,
      slot: source.slot ?? defaultSlotName(databaseName(url)),
      publication: source.publication,
      create: source.create,
    },
    state: { url: state.url ?? new Secret(url), schema: state.schema },
    suprsend: {
      apiKey: apiKey.key,
      apiKeyFile: apiKey.file,
      baseUrl: suprsend.base_url,
      firstContact: suprsend.first_contact,
      maxInFlight: suprsend.max_in_flight,
      maxRequestsPerSecond: suprsend.max_requests_per_second.limit,
      giveUpAfterMs: suprsend.give_up_after.afterMs,
      connectTimeoutMs: suprsend.connect_timeout,
      headersTimeoutMs: suprsend.headers_timeout,
      bodyTimeoutMs: suprsend.body_timeout,
    },
    http: file.http.listen.address,
    mapping: { distinctId: user.distinct_id, when: user.when ?? null, onDelete: user.on_delete, ...sections },
    ...read,
    backfill: { maxRowsPerSecond: file.backfill.max_rows_per_second.limit },
    reconcile: { usersPerHour: file.reconcile.users_per_hour.limit },
    delivery: { stuckAfterMs: Math.max(LEAST_STUCK_AFTER_MS, file.delivery.stuck_after) },
    recovery: file.recovery,
    safety: {
      breaker: breakerOf(file.safety.breaker),
      maxRetainedWalBytes: file.safety.max_retained_wal.limit,
    },
    shutdownTimeoutMs: file.shutdown_timeout,
    log: { level: file.log.level },
  }
}

function breakerOf({ share, min_users, window }: ConfigFile['safety']['breaker']): Config['safety']['breaker'] {
  return share.limit === null ? null : { share: share.limit, minUsers: min_users, windowMs: window }
}

/** Maps keep their readonly type only: freezing a Map does not close it. */
function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const member of value instanceof Map ? value.values() : Object.values(value)) deepFreeze(member)
  return Object.freeze(value)
}
