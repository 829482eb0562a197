/**
 * How many intercepted requests does a second of CPU carry over HTTP/1.1 and over HTTP/2, how many gRPC calls, and how many
 * messages of gRPC streams? With a credential, so that every answer is searched for it, and without.
 *
 * Requests by `h2load` (apt: nghttp2-client), the same for both protocols: 64 at a time, on 64 connections or as streams of 4;
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
const warmUpSeconds = '6'

type Question = {
  readonly name: string
  /** Returns how much was done in so many seconds. */
  readonly work: (proxy: Proxy, seconds: string) => Promise<number>
}

const world = await createWorld()
try {
  const certificate = [join(world.directory, 'o.crt'), join(world.directory, 'o.key')]
  await world.beside('h2-origin.ts', portOf(otherTargets.h2), certificate)
  await world.beside('grpc-peers.ts', portOf(otherTargets.grpc), certificate)
  const questions = questionsIn(world)
  const figures: Record<string, object> = {}
  for (const policy of ['intercept', 'inject'] as const) {
    const proxy = await world.gateway({ policy })
    figures[policy === 'inject' ? 'with a credential' : 'without'] = await ask(questions, proxy)
  }
  print('intercepted requests and messages per CPU-second, by protocol', figures)
} finally {
  await world.close()
}

function questionsIn(within: World): Question[] {
  const h1 = ['--h1', '-c', '64']
  const h2 = ['-c', '4', '-m', '16']
  return [
    { name: 'HTTP/1.1, origin of HTTP/1.1', work: requests(within, 24_000, tlsTarget, h1) },
    { name: 'HTTP/2, origin of HTTP/1.1', work: requests(within, 24_100, tlsTarget, h2) },
    { name: 'HTTP/1.1, origin of HTTP/2', work: requests(within, 24_200, otherTargets.h2, h1) },
    { name: 'HTTP/2, origin of HTTP/2', work: requests(within, 24_300, otherTargets.h2, h2) },
    { name: 'gRPC calls', work: grpc(within, 'unary') },
    { name: 'gRPC messages on streams', work: grpc(within, 'streams') },
  ]
}

async function ask(questions: readonly Question[], proxy: Proxy): Promise<object> {
  const rates = new Map<string, number[]>()
  for (let round = 0; round <= rounds; round++) {
    for (const { name, work } of questions) {
      const before = cpuSecondsOf(proxy)
      const done = await work(proxy, round === 0 ? warmUpSeconds : seconds)
      const rate = Math.round(done / (cpuSecondsOf(proxy) - before))
      if (round > 0) rates.set(name, [...(rates.get(name) ?? []), rate])
    }
  }
  return {
    ...Object.fromEntries([...rates].map(([name, values]) => [name, median(values)])),
    rounds: Object.fromEntries(rates),
  }
}

/** `h2load` knows no proxies: it is led through tunnels, one set for each proxy. */
function requests(within: World, base: number, target: string, args: readonly string[]): Question['work'] {
  const tunnels = new Map<Proxy, number>()
  return async (proxy, length) => {
    let port = tunnels.get(proxy)
    if (port === undefined) {
      port = base + tunnels.size
      tunnels.set(proxy, port)
      await within.beside('tunnels.ts', port, [String(proxy.port), gatewayAuth, target])
    }
    const to = `--connect-to=127.0.0.1:${port}`
    const text = await within.said(['h2load', ...args, '-t', '1', '-D', length, to, `https://${target}/s`])
    const [, done, failed] = /(\d+) succeeded, (\d+) failed/.exec(text) ?? []
    if (done === undefined || done === '0' || failed !== '0') throw new Error(text)
    return Number(done)
  }
}

function grpc(within: World, kind: string): Question['work'] {
  const script = new URL('grpc-peers.ts', import.meta.url).pathname
  return async (proxy, length) => {
    const env = { grpc_proxy: `http://${gatewayAuth}@127.0.0.1:${proxy.port}` }
    const text = await within.said([process.execPath, script, otherTargets.grpc, proxy.ca ?? '', kind, length], env)
    return (JSON.parse(text) as { readonly answered: number }).answered
  }
}

function portOf(target: string): number {
  return Number(target.split(':')[1])
}
