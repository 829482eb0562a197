/** Does the size of a policy cost a request anything? CPU microseconds per plain request with 10, 1 000 and 100 000 host rules. */

import { createWorld, type Measure, median, plainTarget, type Proxy, print } from './bench-world.ts'

const sizes = [10, 1000, 100_000] as const
const world = await createWorld()
try {
  const proxies: [number, Proxy][] = []
  for (const size of sizes) proxies.push([size, await world.gateway({ policy: 'plain', extraHosts: size })])
  const costs = new Map<number, number[]>()
  for (let round = 0; round < 5; round++) {
    for (const [size, proxy] of proxies) {
      const measure = await world.load(proxy, [
        '--style',
        'abs',
        '--target',
        plainTarget,
        '--conc',
        '64',
        '--secs',
        '2',
        '--warm',
        '1.5',
      ])
      costs.set(size, [...(costs.get(size) ?? []), cpuMicroseconds(measure)])
    }
  }
  const figures = Object.fromEntries(sizes.map((size) => [size, median(costs.get(size) ?? [])]))
  print('CPU per request by number of host rules, microseconds', {
    ...figures,
    ratio: Number(((figures[100_000] ?? 0) / (figures[10] ?? 1)).toFixed(2)),
  })
} finally {
  await world.close()
}

function cpuMicroseconds({ cpu_s: cpu, n }: Measure): number {
  return Number(((cpu / n) * 1e6).toFixed(1))
}
