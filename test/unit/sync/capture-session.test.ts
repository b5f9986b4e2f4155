// P10: who is told to stop while a start is being prepared takes over from nobody.
import { expect, test } from 'vitest'
import { NO_FAIL_POINTS } from '../../../src/core/fail-points.ts'
import { SILENT_LOGGER } from '../../../src/core/logger.ts'
import { NO_METRICS } from '../../../src/core/metrics.ts'
import { type CapturePorts, runCaptureSession } from '../../../src/sync/capture-session.ts'

test.each(['prepare', 'openSource', 'takeOver'] as const)(
  'stopped during %s: nothing after it is done',
  async (step) => {
    const stop = new AbortController()
    const done: string[] = []
    const reached = (name: string) => {
      done.push(name)
      if (name === step) stop.abort(new Error('stopped'))
    }
    const unreachable = new Proxy({}, { get: () => expect.unreachable('used after the stop') })
    const ports = {
      prepare: async () => reached('prepare'),
      openSource: async () => {
        reached('openSource')
        return { source: unreachable, tables: unreachable, idIsKey: true }
      },
      takeOver: async () => {
        reached('takeOver')
        return { state: unreachable, lsn: 1n, slicedLsn: null, startXid: 1n }
      },
      owed: async () => reached('owed'),
    } as unknown as CapturePorts
    const hooks = {
      mostRowsPerSecond: null,
      onPending: () => undefined,
      onStreaming: () => undefined,
      onBackfill: () => undefined,
    }
    const wal = { isScarce: () => false, forPage: async () => undefined }
    const options = { ports, wal, metrics: NO_METRICS, log: SILENT_LOGGER, failPoints: NO_FAIL_POINTS, ...hooks }
    await expect(runCaptureSession(options, stop.signal)).rejects.toThrow('stopped')
    expect(done.at(-1)).toBe(step)
  },
)
