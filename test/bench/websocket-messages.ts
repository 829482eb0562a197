/**
 * How many WebSocket messages does a second of CPU carry, decrypted on their way, with and without a search of what comes
 * back for a secret, beside a raw relay that decrypts nothing?
 *
 * Messages of 120 bytes on 64 connections, counted both ways. Turns: each message is answered by one. Streams: by a hundred.
 */

import { createWorld, type Measure, median, type Proxy, print, tlsTarget } from './bench-world.ts'

const rounds = Number(process.argv[2] ?? 5)
const seconds = process.argv[3] ?? '3'
const kinds = { turns: 1, streams: 100 }
const common = ['--style', 'connect', '--tls', '--target', tlsTarget, '--conc', '64']

const world = await createWorld()
try {
  const proxies: [string, Proxy, readonly string[]][] = [
    ['sallyport', await world.gateway({ policy: 'intercept' }), ['--intercepted']],
    ['sallyport with a credential', await world.gateway({ policy: 'inject' }), ['--intercepted']],
    ['relay', await world.relay(), []],
  ]
  const figures: Record<string, object> = {}
  for (const [kind, answers] of Object.entries(kinds)) figures[kind] = await compare(proxies, answers)
  print('WebSocket messages per CPU-second', figures)
} finally {
  await world.close()
}

/** The first round is longer and not counted: what runs for weeks has been compiled. */
async function compare(
  proxies: readonly (readonly [string, Proxy, readonly string[]])[],
  answers: number,
): Promise<object> {
  const rates = new Map<string, number[]>()
  for (let round = 0; round <= rounds; round++) {
    for (const [name, proxy, more] of proxies) {
      const length = ['--secs', round === 0 ? '6' : seconds, '--warm', '1']
      const measure = await world.load(proxy, [...common, ...length, '--ws', String(answers), ...more])
      if (round > 0) rates.set(name, [...(rates.get(name) ?? []), messagesPerCpuSecond(measure, answers)])
    }
  }
  return {
    ...Object.fromEntries([...rates].map(([name, values]) => [name, median(values)])),
    rounds: Object.fromEntries(rates),
  }
}

function messagesPerCpuSecond({ n, cpu_s: cpu }: Measure, answers: number): number {
  return Math.round((n * (answers + 1)) / cpu)
}
