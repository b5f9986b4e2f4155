// A local SuprSend, started and held in process: the HTTP server and, for tests, the same controls as under /_emulator/
// without HTTP. Keeps everything in memory; users outlive a pause, nothing outlives the process.
import type { RemoteUser } from '../core/api.ts'
import { CONTROL_PREFIX, ControlApi } from './control-api.ts'
import type { FaultInput } from './fault.ts'
import type { HistoryEntry } from './history.ts'
import { HttpServer } from './server.ts'
import { changedSettings, DEFAULT_SETTINGS, type Settings, type SettingsChange } from './settings.ts'
import type { Stats } from './traffic.ts'
import { UserApi, type Watchers } from './user-api.ts'
import { WaitingRoom } from './waiting-room.ts'
import { World } from './world.ts'

export interface EmulatorOptions extends SettingsChange, Partial<Watchers> {
  /** Default 127.0.0.1. */
  readonly host?: string
  /** Default 0: a free one. */
  readonly port?: number
  /** Applied requests kept for each user; 0 keeps none. Default 1000. */
  readonly history?: number
}

export interface Emulator extends AsyncDisposable {
  /** Without a slash at the end. The same after `resume`. */
  readonly url: string
  readonly port: number
  /** All users as core/api.ts's RemoteUser: active values only, without the platform's own inbox. */
  users(): Map<string, RemoteUser>
  /** What was applied to a user, oldest first; also of one that was deleted. */
  history(distinctId: string): readonly HistoryEntry[]
  addFault(...faults: readonly FaultInput[]): void
  clearFaults(): void
  /** Changes what is named; returns all settings as they are then. */
  settings(change?: SettingsChange): Settings
  stats(): Stats
  /** Requests that a `hold` keeps waiting now. */
  readonly held: number
  /** Lets them go on; says how many there were. */
  releaseHolds(): number
  /** Forgets users, history, faults and counts; settings are those of the start. Requests that wait are dropped. */
  reset(): void
  /** Goes away: connections are cut, what waited is not applied, connecting is refused. Users stay. */
  pause(): Promise<void>
  /** Comes back on the same port. */
  resume(): Promise<void>
  /** Answers what was accepted, held requests too, then ends. */
  close(): Promise<void>
  /** Ends at once. What `await using` does. */
  destroy(): Promise<void>
}

export async function startEmulator(options: EmulatorOptions = {}): Promise<Emulator> {
  const { host = '127.0.0.1', port = 0, history = 1000, onArrival = null, onRequest = null, ...settings } = options
  const world = new World(changedSettings(DEFAULT_SETTINGS, settings), history)
  const waiting = new WaitingRoom()
  const userApi = new UserApi(world, waiting, { onArrival, onRequest })
  const controlApi = new ControlApi(world, waiting)
  const server = new HttpServer({ host, port }, (request, response) => {
    if (request.url?.startsWith(CONTROL_PREFIX)) controlApi.handle(request, response)
    else userApi.handle(request, response)
  })
  await server.open()

  const destroy = (): Promise<void> => {
    waiting.stop()
    return server.destroy()
  }
  return {
    url: server.url,
    port: server.port,
    users: () => world.users(),
    history: (distinctId) => world.history.of(distinctId),
    addFault: (...faults) => {
      for (const fault of faults) world.faults.add(fault)
    },
    clearFaults: () => world.faults.clear(),
    settings: (change = {}) => world.changeSettings(change),
    stats: () => world.traffic.stats(),
    get held() {
      return waiting.heldCount
    },
    releaseHolds: () => waiting.release(),
    reset: () => {
      waiting.stop()
      world.reset()
    },
    pause: destroy,
    resume: () => server.open(),
    close: () => {
      waiting.release()
      return server.close()
    },
    destroy,
    [Symbol.asyncDispose]: destroy,
  }
}
