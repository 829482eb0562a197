/**
 * How many intercepted requests does a second of CPU carry over HTTP/1.1 and over HTTP/2, how many gRPC calls, and how many
 * messages of gRPC streams? Without a credential, and with one, so that every answer is searched for it.
 *
 * Beside it: of HTTP/1.1 squid `ssl_bump`, which puts a field on as well; of HTTP/2 and gRPC a bare relay of streams in Node.
 *
 * Requests by `h2load` (apt: nghttp2-client) where it can, for both protocols: 64 at a time, on 64 connections or as streams of 4;
 * answers of 1 KiB, by an origin of HTTP/1.1 or of HTTP/2. gRPC by `@grpc/grpc-js` at both ends, messages counted as answered.
 */

import { join } from 'node:path'
import {
  cpuSecondsOf,
  createWorld,
  gatewayAuth,
  median,
  otherTargets,
  type Proxy,
  print,
  tlsTarget,
  type World,
} from './bench-world.ts'

const rounds = Number(process.argv[2] ?? 5)
const seconds = process.argv[3] ?? '3'
const wanted = process.argv[4] ?? ''
const warmUpSeconds = '6'

/** Returns how much was done in so many seconds. */
type Work = (proxy: Proxy, seconds: string) => Promise<number>

type Question = { readonly name: string; readonly work: Work; readonly beside: Proxy | null }

const world = await createWorld()
try {
  const certificate = [join(world.directory, 'o.crt'), join(world.directory, 'o.key')]
  await world.beside('h2-origin.ts', portOf(otherTargets.h2), certificate)
  await world.beside('grpc-peers.ts', portOf(otherTargets.grpc), certificate)
  const ours = {
    without: await world.gateway({ policy: 'intercept' }),
    with: await world.gateway({ policy: 'inject' }),
  }
  const figures: Record<string, object> = {}
  for (const question of await questionsIn(world))
    if (question.name.includes(wanted)) figures[question.name] = await ask(question, ours)
  print('intercepted requests and messages per CPU-second, by protocol', figures)
} finally {
  await world.close()
}

async function questionsIn(within: World): Promise<Question[]> {
  const h1 = ['--h1', '-c', '64']
  const h2 = ['-c', '4', '-m', '16']
  const relay = await within.h2Relay(portOf(otherTargets.h2))
  const grpcRelay = await within.h2Relay(portOf(otherTargets.grpc))
  const squid = await within.squid('bump')
  return [
    { name: 'HTTP/1.1, origin of HTTP/1.1', work: requests(within, 24_000, tlsTarget, h1), beside: squid },
    { name: 'HTTP/2, origin of HTTP/1.1', work: requests(within, 24_100, tlsTarget, h2), beside: null },
    { name: 'HTTP/1.1, origin of HTTP/2', work: keptAlive(within, otherTargets.h2), beside: null },
    { name: 'HTTP/2, origin of HTTP/2', work: requests(within, 24_300, otherTargets.h2, h2), beside: relay },
    { name: 'gRPC calls', work: grpc(within, 'unary'), beside: grpcRelay },
    { name: 'gRPC messages on streams', work: grpc(within, 'streams'), beside: grpcRelay },
  ]
}

/** The first round is longer and not counted: what runs for weeks has been compiled. */
async function ask({ work, beside }: Question, ours: { without: Proxy; with: Proxy }): Promise<object> {
  const proxies = { without: ours.without, with: ours.with, ...(beside === null ? {} : { [beside.name]: beside }) }
  const rates = new Map<string, number[]>()
  for (let round = 0; round <= rounds; round++) {
    for (const [name, proxy] of Object.entries(proxies)) {
      const before = cpuSecondsOf(proxy)
      const done = await work(proxy, round === 0 ? warmUpSeconds : seconds)
      const rate = Math.round(done / (cpuSecondsOf(proxy) - before))
      if (round > 0) rates.set(name, [...(rates.get(name) ?? []), rate])
    }
  }
  const middle = (name: string): number => median(rates.get(name) ?? [])
  const ratio = (name: string): object =>
    beside === null ? {} : { [`ratio ${name}`]: Number((middle(name) / middle(beside.name)).toFixed(2)) }
  return {
    ...Object.fromEntries([...rates.keys()].map((name) => [name, middle(name)])),
    ...ratio('without'),
    ...ratio('with'),
    rounds: Object.fromEntries(rates),
  }
}

/** `h2load` knows no proxies: it is led through tunnels, one set for each proxy. */
function requests(within: World, base: number, target: string, args: readonly string[]): Work {
  const tunnels = new Map<Proxy, number>()
  return async (proxy, length) => {
    let port = proxy.name === 'relay' ? proxy.port : tunnels.get(proxy)
    if (port === undefined) {
      port = base + tunnels.size
      tunnels.set(proxy, port)
      const auth = proxy.name === 'sallyport' ? gatewayAuth : ''
      await within.beside('tunnels.ts', port, [String(proxy.port), auth, target])
    }
    const to = `--connect-to=127.0.0.1:${port}`
    const text = await within.said(['h2load', ...args, '-t', '1', '-D', length, to, `https://${target}/s`])
    const [, done, failed] = /(\d+) succeeded, (\d+) failed/.exec(text) ?? []
    if (done === undefined || done === '0' || failed !== '0') throw new Error(text)
    return Number(done)
  }
}

/** By our own client: `h2load` takes an answer without a reason phrase, as HTTP/2 has none, for a failed one. */
function keptAlive(within: World, target: string): Work {
  const args = ['--style', 'connect', '--tls', '--intercepted', '--target', target, '--conc', '64', '--warm', '0']
  return async (proxy, length) => (await within.load(proxy, [...args, '--secs', length])).n
}

function grpc(within: World, kind: string): Work {
  const script = new URL('grpc-peers.ts', import.meta.url).pathname
  return async (proxy, length) => {
    const isRelay = proxy.name === 'relay'
    const target = isRelay ? `127.0.0.1:${proxy.port}` : otherTargets.grpc
    const env = isRelay ? {} : { grpc_proxy: `http://${gatewayAuth}@127.0.0.1:${proxy.port}` }
    const roots = proxy.ca ?? within.originCa
    const text = await within.said([process.execPath, script, target, roots, kind, length], env)
    return (JSON.parse(text) as { readonly answered: number }).answered
  }
}

function portOf(target: string): number {
  return Number(target.split(':')[1])
}
