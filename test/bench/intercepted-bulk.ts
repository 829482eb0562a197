/**
 * What does a GiB cost in CPU when it is decrypted on its way, beside squid `ssl_bump`? Seconds of the proxy's CPU per GiB.
 *
 * Down: one answer, of a rule without a credential, and of one with it, where every byte of the answer is searched for the
 * secret. Up: one request body. Squid puts a field on as well, and searches nothing.
 */

import { createWorld, type Measure, median, type Proxy, print, tlsTarget } from './bench-world.ts'

const gib = 2 ** 30
const rounds = Number(process.argv[2] ?? 5)
const bytes = Number(process.argv[3] ?? gib / 2)
const warmUps = 3
/** Of a type that nobody reads: bodies that may hold a key of the client's own are held and judged whole. */
const octets = ['--extra', 'Content-Type: application/octet-stream']
const ways = { down: ['--path', `/b/${bytes}`], up: ['--upload', String(bytes), '--path', '/u', ...octets] }
const common = ['--mode', 'bulk', '--style', 'connect', '--tls', '--intercepted', '--target', tlsTarget, '--conc', '1']

const world = await createWorld()
try {
  const proxies: [string, Proxy | null][] = [
    ['sallyport', await world.gateway({ policy: 'intercept' })],
    ['sallyport with a credential', await world.gateway({ policy: 'inject' })],
    ['squid', await world.squid('bump')],
  ]
  const figures: Record<string, object> = {}
  for (const [way, args] of Object.entries(ways)) figures[way] = await compare(proxies, args)
  print('intercepted CPU seconds per GiB', figures)
} finally {
  await world.close()
}

/** What was loaded for little is still being compiled: the first rounds are not counted. */
async function compare(proxies: readonly [string, Proxy | null][], args: readonly string[]): Promise<object> {
  const costs = new Map<string, number[]>()
  for (let round = 0; round < warmUps + rounds; round++) {
    for (const [name, proxy] of proxies) {
      if (proxy === null) continue
      const cost = cpuPerGib(await world.load(proxy, [...common, '--secs', '10', ...args]))
      if (round >= warmUps) costs.set(name, [...(costs.get(name) ?? []), cost])
    }
  }
  const figures = Object.fromEntries(
    proxies.map(([name]) => [name, costs.has(name) ? median(costs.get(name) ?? []) : null]),
  )
  const squid = figures['squid'] ?? null
  const beside = (name: string): unknown =>
    squid === null ? 'squid is not installed' : Number(((figures[name] ?? Number.NaN) / squid).toFixed(2))
  return {
    ...figures,
    ratio: beside('sallyport'),
    'ratio with a credential': beside('sallyport with a credential'),
    rounds: Object.fromEntries(costs),
  }
}

function cpuPerGib(measure: Measure): number {
  return Number(((measure.cpu_s * gib) / measure.bytes).toFixed(3))
}
