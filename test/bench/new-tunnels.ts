/** What does a new tunnel cost in CPU, beside a raw relay? One TLS request on each new connection; microseconds of the proxy's CPU. */

import { createWorld, type Measure, median, type Proxy, print, tlsTarget } from './bench-world.ts'

const world = await createWorld()
try {
  const proxies: Proxy[] = [await world.gateway({ policy: 'tunnel' }), await world.relay()]
  const costs = new Map<string, number[]>()
  for (let round = 0; round < 3; round++) {
    for (const proxy of proxies) {
      const measure = await world.load(proxy, [
        '--mode',
        'conn',
        '--style',
        'connect',
        '--tls',
        '--target',
        tlsTarget,
        '--conc',
        '16',
        '--secs',
        '3',
        '--warm',
        '1',
      ])
      costs.set(proxy.name, [...(costs.get(proxy.name) ?? []), cpuMicroseconds(measure)])
    }
  }
  const [ours, relay] = ['sallyport', 'relay'].map((name) => median(costs.get(name) ?? []))
  print('CPU per new tunnel, microseconds', {
    sallyport: ours,
    relay,
    ratio: Number(((ours ?? 0) / (relay ?? 1)).toFixed(2)),
  })
} finally {
  await world.close()
}

function cpuMicroseconds({ cpu_s: cpu, n }: Measure): number {
  return Math.round((cpu / n) * 1e6)
}
