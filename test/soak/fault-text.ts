// A planned fault in words, for progress and for the report of a failed run.
import { type Fault, type PlannedFault, PROCESSES, type ProcessName, type Weather } from './fault.ts'

export function faultText({ atMs, untilMs, fault }: PlannedFault): string {
  const lasts = untilMs > atMs ? `, ${seconds(untilMs - atMs)}` : ''
  return `${what(fault)}${lasts}`
}

export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`
}

function what(fault: Fault): string {
  switch (fault.kind) {
    case 'kill':
    case 'freeze':
    case 'deploy':
      return `${fault.kind} ${fault.process}`
    case 'network':
      return `network to ${fault.link} ${fault.how} for ${who(fault.processes)}`
    case 'cut':
      return `network to ${fault.link} cut for ${who(fault.processes)}`
    case 'terminate':
      return `${fault.server} server ends sessions (${fault.sessions})`
    case 'restart':
      return `${fault.server} server stops, ${fault.mode}`
    case 'weather':
      return `suprsend ${weatherText(fault.weather)}`
  }
}

function weatherText(weather: Weather): string {
  switch (weather.kind) {
    case 'failing':
      return `fails ${Math.round(weather.rate * 100)} % of requests`
    case 'slow':
      return `answers after ${weather.latencyMs} ms`
    case 'limited':
      return `takes ${weather.perSecond} requests a second`
    case 'throttling':
      return `answers ${weather.requests} requests 429, Retry-After ${weather.retryAfterS}`
    case 'garbled':
      return `answers ${weather.requests} requests with what is no user`
    case 'silent':
      return `answers ${weather.requests} requests late or never`
    case 'unauthorized':
      return 'refuses the key'
    case 'away':
      return 'is away'
  }
}

function who(processes: readonly ProcessName[]): string {
  return processes.length === PROCESSES.length ? 'all' : processes.join(', ')
}
