/** What does a GiB through a tunnel cost in CPU, each way, beside a raw relay? Seconds of the proxy's CPU per GiB. */

import { createWorld, type Measure, median, type Proxy, print, tlsTarget } from './bench-world.ts'

const gib = 2 ** 30
const world = await createWorld()
try {
  const proxies: Proxy[] = [await world.gateway({ policy: 'tunnel' }), await world.relay()]
  const figures: Record<string, object> = {}
  for (const [way, args] of Object.entries({
    down: ['--path', `/b/${gib / 4}`],
    up: ['--upload', String(gib / 4), '--path', '/u'],
  })) {
    const costs = new Map<string, number[]>()
    for (let round = 0; round < 5; round++) {
      for (const proxy of proxies) {
        const measure = await world.load(proxy, [
          '--mode',
          'bulk',
          '--style',
          'connect',
          '--tls',
          '--target',
          tlsTarget,
          '--conc',
          '1',
          '--secs',
          '3',
          '--warm',
          '0.5',
          ...args,
        ])
        costs.set(proxy.name, [...(costs.get(proxy.name) ?? []), cpuPerGib(measure)])
      }
    }
    const ours = median(costs.get('sallyport') ?? [])
    const relay = median(costs.get('relay') ?? [])
    figures[way] = { sallyport: ours, relay, ratio: Number((ours / relay).toFixed(2)) }
  }
  print('tunnel CPU seconds per GiB', figures)
} finally {
  await world.close()
}

function cpuPerGib({ cpu_s: cpu, bytes }: Measure): number {
  return Number(((cpu * gib) / bytes).toFixed(3))
}
