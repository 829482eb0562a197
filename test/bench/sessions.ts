/**
 * How fast are sessions made, what does each weigh, and do 100 000 of them cost a decision, a list or a changed policy
 * anything? Two gateways, one with each store; requests are refused by name, so nothing but the decision is measured.
 */

import http from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { createSessionWorld, inLanes, type Made, type SessionWorld } from './session-world.ts'
import { print } from './bench-world.ts'

const held = 100_000
const rules = [{ host: 'origin.test', ports: [80], methods: ['GET'] }]
const policies = { bench: rules, other: rules }

const figures: Record<string, unknown> = {}
for (const store of ['file', 'memory'] as const) {
  const world = await createSessionWorld(store, policies)
  try {
    await rate(world, 2000)
    figures[`sessions made per second, ${store}`] = Math.round(await rate(world, 5000))
    if (store === 'memory') await weigh(world)
  } finally {
    await world.close()
  }
}
print('sessions', figures)

async function rate(world: SessionWorld, count: number): Promise<number> {
  const began = performance.now()
  await inLanes(count, 32, () => world.make('bench'))
  return (count * 1000) / (performance.now() - began)
}

async function weigh(world: SessionWorld): Promise<void> {
  const made: Made[] = []
  for (let i = 0; i < 1000; i++) made.push(await world.make('bench'))
  figures['decision, microseconds, few sessions'] = await decision(world, made)
  await delay(3000)
  const before = world.residentKib()
  const missing = held - (await world.metric('sallyport_sessions_active'))
  await inLanes(missing, 32, async (index) => {
    const one = await world.make('bench')
    if (index % 100 === 0) made.push(one)
  })
  await delay(3000)
  figures['sessions held'] = await world.metric('sallyport_sessions_active')
  figures['KiB per session'] = Number(((world.residentKib() - before) / missing).toFixed(2))
  figures['decision, microseconds, all sessions'] = await decision(world, made)
  figures['page of 100 sessions, ms'] = await timed(() => world.call('GET', '/v1/sessions?limit=100'))
  figures['metrics, ms'] = await timed(() => world.call('GET', '/metrics'))
  figures['a policy changed that nobody uses, ms'] = await timed(() => put(world, 'spare', 1), 1)
  const [one] = made
  await world.call('PATCH', `/v1/sessions/${one?.id}`, { policy: 'spare' })
  figures['a policy changed that one session uses, ms'] = await timed(() => put(world, 'spare', 2), 1)
}

function put(world: SessionWorld, name: string, version: number): Promise<{ status: number }> {
  return world.call('PUT', `/v1/policies/${name}`, { rules: [{ host: `v${version}.test` }] })
}

/** Mean of what the gateway says of its own work on requests that it refuses. */
async function decision(world: SessionWorld, made: readonly Made[]): Promise<number> {
  const name = 'sallyport_request_duration_seconds'
  const agent = new http.Agent({ keepAlive: true, maxSockets: 16 })
  const ask = (index: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const proof = made[index % made.length]?.proof ?? ''
      const headers = { host: 'denied.test', 'proxy-authorization': proof }
      const to = { host: '127.0.0.1', port: world.proxyPort, path: `http://denied.test/${index}`, agent, headers }
      http.get(to, (response) => response.resume().on('end', resolve)).on('error', reject)
    })
  await inLanes(5000, 16, ask)
  const [sum, count] = [await world.metric(`${name}_sum`), await world.metric(`${name}_count`)]
  await inLanes(20_000, 16, ask)
  const took = (await world.metric(`${name}_sum`)) - sum
  agent.destroy()
  return Number(((took * 1e6) / ((await world.metric(`${name}_count`)) - count)).toFixed(1))
}

async function timed(deed: () => Promise<{ readonly status: number }>, times = 5): Promise<number> {
  const all: number[] = []
  for (let i = 0; i < times; i++) {
    const began = performance.now()
    const { status } = await deed()
    if (status >= 300) throw new Error(`answered ${status}`)
    all.push(performance.now() - began)
  }
  return Number(Math.min(...all).toFixed(1))
}
