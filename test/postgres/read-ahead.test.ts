// A batch that is read ahead while the one before it is still being committed: where both, or a page between them, touch one
// row, it is judged by what that commit left. Real state; the commit is held at a gate.
import { expect, test } from 'vitest'
import type { CaptureState } from '../../src/core/capture-port.ts'
import { NO_FAIL_POINTS } from '../../src/core/fail-points.ts'
import { type Lsn, NO_LSN } from '../../src/core/lsn.ts'
import { NO_METRICS } from '../../src/core/metrics.ts'
import { documentOf } from '../../src/core/profile.ts'
import { RemapSteps } from '../../src/core/remap-steps.ts'
import { parseSnapshot } from '../../src/core/snapshot.ts'
import { partHash, type RowContent, rowHash, type StreamedRow } from '../../src/core/source-row.ts'
import { takeOver } from '../../src/state/ownership.ts'
import { StateWriter } from '../../src/sync/state-writer.ts'
import { CaptureHarness } from '../support/capture-harness.ts'
import { createTestDatabase } from '../support/database.ts'

const SOURCE = 'public.users'

function content(email: string): RowContent {
  const part = documentOf({ channels: { $email: [email] }, properties: {} })
  const hash = rowHash('m', ['1', email])
  return { distinctId: '1', userKey: null, part, partHash: partHash(part, []), rowHash: hash, reasons: [] }
}

function change(email: string, version: number): StreamedRow {
  return {
    source: SOURCE,
    key: '1',
    row: ['1', email],
    content: null,
    rowHash: rowHash('m', ['1', email]),
    xid: BigInt(1_000 + version),
    commitLsn: BigInt(version) as Lsn,
    firstCommittedAt: 0,
    lastCommittedAt: 0,
    varied: false,
    readSnapshot: null,
    readLsn: null,
  }
}

interface Gate {
  open: Promise<void>
  onArrival: () => void
}

async function withGate(
  run: (writer: StateWriter, gate: Gate, desired: () => Promise<unknown>) => Promise<void>,
): Promise<void> {
  await using database = await createTestDatabase()
  await using harness = await CaptureHarness.create(database, {
    create: 'CREATE TABLE users (id int PRIMARY KEY, email text)',
    profile: { $email: 'email' },
  })
  const { state } = await takeOver(harness.state)
  const gate: Gate = { open: Promise.resolve(), onArrival: () => undefined }
  const gated: CaptureState = {
    era: state.era,
    readRows: (...args) => state.readRows(...args),
    readChangedRows: (...args) => state.readChangedRows(...args),
    readLiveRows: (...args) => state.readLiveRows(...args),
    readUnseen: (...args) => state.readUnseen(...args),
    readTruncated: (...args) => state.readTruncated(...args),
    readUserIds: (...args) => state.readUserIds(...args),
    readLiveChildren: (...args) => state.readLiveChildren(...args),
    readAny: (...args) => state.readAny(...args),
    readTruncateXid: (source) => state.readTruncateXid(source),
    dropTable: (source) => state.dropTable(source),
    readDesired: (ids) => state.readDesired(ids),
    readParts: (rows) => state.readParts(rows),
    hasParked: () => state.hasParked(),
    unparkSome: () => state.unparkSome(),
    advance: (lsn) => state.advance(lsn),
    commit: async (...args) => {
      gate.onArrival()
      await gate.open
      await state.commit(...args)
    },
  }
  const writer = new StateWriter({
    state: gated,
    mapper: { idIsKey: true, content: (_source, row) => content(row[1] ?? '') },
    sources: [SOURCE],
    owedBackfills: 1,
    steps: new RemapSteps({ sources: [SOURCE], readings: [], forgets: false, era: state.era, since: NO_LSN }),
    readUsers: async () => null,
    metrics: NO_METRICS,
    failPoints: NO_FAIL_POINTS,
    onPending: () => undefined,
  })
  await run(writer, gate, () => harness.desired())
}

test.for([
  { read: 'before the commit begins', waits: false },
  { read: 'while it is under way', waits: true },
])('read ahead $read: changed by the earlier batch and back by the later one ends as the later one says', ({ waits }) =>
  withGate(async (writer, gate, desired) => {
    await writer.storeStreamed(await writer.readAhead([change('a@x.io', 1)]), null)
    const held = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<void>()
    gate.open = held.promise
    gate.onArrival = arrived.resolve
    const first = writer.storeStreamed(await writer.readAhead([change('b@x.io', 2)]), null)
    if (waits) await arrived.promise
    // State still says a: read now, the change looks like nothing.
    const ahead = await writer.readAhead([change('a@x.io', 3)])
    const second = writer.storeStreamed(ahead, null)
    held.resolve()
    expect(await Promise.all([first, second])).toEqual([true, true])
    expect(await desired()).toEqual({ 1: { $email: ['a@x.io'] } })
  }),
)

test('a page that comes between reading ahead and storing is seen', () =>
  withGate(async (writer, _gate, desired) => {
    const ahead = await writer.readAhead([change('old@x.io', 1)])
    const page = parseSnapshot('2000:2000:')
    const backfill = { id: '1', cursor: null, rowsRead: 1, firstSnapshot: page.text, paged: false, finished: false }
    await writer.storePage(SOURCE, {
      rows: [{ key: '1', content: content('new@x.io') }],
      snapshot: page,
      lsn: NO_LSN,
      backfill,
    })
    // The page saw the change's transaction and what came after it.
    expect(await writer.storeStreamed(ahead, null)).toBe(false)
    expect(await desired()).toEqual({ 1: { $email: ['new@x.io'] } })
  }))
