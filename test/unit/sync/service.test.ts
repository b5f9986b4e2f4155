// The terms of a service: what breaks at once, again and again, is begun again ever more rarely.
import { expect, test } from 'vitest'
import { SILENT_LOGGER } from '../../../src/core/logger.ts'
import { type DeliveryTerm, Service, type ServicePorts } from '../../../src/sync/service.ts'
import { until } from '../../support/wait.ts'

const LOST = new Promise<unknown>(() => undefined)

function brokenTerm(): DeliveryTerm {
  return {
    lost: LOST,
    buckets: 0,
    run: async () => {
      throw new Error('the look failed')
    },
    [Symbol.asyncDispose]: async () => undefined,
  }
}

test('a sender that can join and nothing else does not join ten times a second', async () => {
  let joins = 0
  const ports: ServicePorts = {
    acquireCapture: async () => null,
    capture: async () => undefined,
    tidy: async () => undefined,
    joinSenders: async () => {
      joins += 1
      return brokenTerm()
    },
  }
  const service = new Service(ports, { capture: false, deliver: true }, SILENT_LOGGER)
  const stop = new AbortController()
  const startedAt = performance.now()
  const running = service.run(stop.signal)
  await until(() => joins === 5, { what: 'some joins' })
  // 50 + 100 + 200 + 400 ms at the least.
  expect(performance.now() - startedAt).toBeGreaterThan(700)
  expect(service.delivery).toMatchObject({ kind: 'broken' })
  stop.abort()
  await running
})
