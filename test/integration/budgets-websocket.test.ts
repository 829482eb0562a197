import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { closeOf, type WebSocketPeer } from '../support/websocket-peer.ts'
import { everyWay, WebSocketWorld } from '../support/websocket-world.ts'

const KiB = 1024

let sockets: WebSocketWorld
beforeAll(async () => {
  sockets = await WebSocketWorld.create({
    limits: { exchangeIdleMs: 30_000 },
    rules: ({ http, https }) => [
      { host: 'good.test', ports: [http, https], addresses: ['127.0.0.0/8'], tls: 'intercept' },
    ],
  })
})
afterAll(() => sockets[Symbol.asyncDispose]())

/** The last word that came, when nothing more does. */
async function farewellTo(peer: WebSocketPeer): Promise<string | null> {
  let last: string | null = null
  for (;;) {
    const frame = await peer.next()
    if (typeof frame === 'string') return last
    last = frame.opcode === 'close' ? closeOf(frame) : null
  }
}

describe.each(everyWay)('a WebSocket, %s', (way) => {
  it.for(['uploadBytes', 'downloadBytes'] as const)('is cut where the budget ends: %s', async (limit) => {
    const session = await sockets.world.newSession({ [limit]: 200 * KiB })
    const since = sockets.world.records.length
    const { client, origin } = await sockets.open(way, session)
    const [from, to] = limit === 'uploadBytes' ? [client, origin] : [origin, client]
    for (let i = 0; i < 40 && from.end === 'open'; i++) {
      from.send('binary', Buffer.alloc(10 * KiB))
      await delay(2)
    }
    await expect
      .poll(() => sockets.world.records.slice(since))
      .toMatchObject([
        {
          outcome: 'interrupted',
          reason: limit === 'uploadBytes' ? 'upload_limit' : 'download_limit',
          nearLimits: [limit],
        },
      ])
    expect(to.bytesIn).toBeLessThanOrEqual(200 * KiB)
    expect(to.bytesIn).toBeGreaterThan(100 * KiB)
  })

  it('ends with 1001 when it was open for as long as it may be', async () => {
    const session = await sockets.world.newSession({ tunnelDuration: '300ms' })
    const since = sockets.world.records.length
    const { client, origin } = await sockets.open(way, session)
    const timer = setInterval(() => origin.end === 'open' && origin.send('text', 'still here'), 50)
    expect(await farewellTo(client)).toBe('1001 it was open for as long as it may be')
    clearInterval(timer)
    await expect
      .poll(() => sockets.world.records.slice(since))
      .toMatchObject([{ outcome: 'interrupted', reason: null, detail: 'it was open for as long as it may be' }])
  })
})
