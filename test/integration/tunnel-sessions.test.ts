import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RawClient } from '../support/raw-client.ts'
import { createWorld, type World, type WorldSession } from '../support/world.ts'

let world: World
let session: WorldSession
let authority: string
beforeEach(async () => {
  world = await createWorld({
    // No deadline is what this is about, and the machine may be busy.
    limits: { firstBytesTimeoutMs: 15_000 },
    rules: ({ https }) => [{ host: 'tunnel.test', ports: [https], addresses: ['127.0.0.0/8'] }],
    dns: { 'tunnel.test': { a: ['127.0.0.1'] } },
  })
  session = await world.newSession()
  authority = `tunnel.test:${world.ports.https}`
})
afterEach(() => world[Symbol.asyncDispose]())

async function open(): Promise<RawClient> {
  const client = await RawClient.connect(world.ports.proxy)
  const proof = `Proxy-Authorization: ${session.authorization}\r\n`
  await client.send(`CONNECT ${authority} HTTP/1.1\r\n${proof}\r\n`)
  expect(await client.response({ bodiless: true })).toMatchObject({ status: 200 })
  return client
}

async function narrow(): Promise<void> {
  const changed = await world.gateway.sessions.book.patch(session.id, {
    policy: { inline: { rules: [{ host: 'other.test' }] } },
  })
  expect(changed).not.toMatchObject({ kind: 'refused' })
}

describe('a tunnel', () => {
  it('is cut when its policy no longer allows it, or its session ends', async () => {
    for (const end of [narrow, session.revoke]) {
      session = await world.newSession()
      const client = await open()
      const secure = await client.startTls({ servername: 'tunnel.test', ca: world.originCa.certificate })
      await (end === narrow ? narrow() : session.revoke())
      expect(await secure.closed()).toBe(true)
    }
    await expect.poll(() => world.records.map(({ outcome }) => outcome)).toEqual(['interrupted', 'interrupted'])
  })

  it('is not opened when the policy narrowed between the 200 and the first byte', async () => {
    const client = await open()
    await narrow()
    await expect(client.startTls({ servername: 'tunnel.test', ca: world.originCa.certificate })).rejects.toThrow()
    await expect.poll(() => world.records).toMatchObject([{ outcome: 'deny', reason: 'host_not_allowed' }])
    expect(world.https.connections.map(({ received }) => received.length)).toEqual([0])
  })

  it('leaves nothing of itself in its session', async () => {
    const client = await open()
    const secure = await client.startTls({ servername: 'tunnel.test', ca: world.originCa.certificate })
    expect(world.gateway.sessions.book.get(session.id)?.open.size).toBe(2)
    secure.destroy()
    await expect.poll(() => world.gateway.sessions.book.get(session.id)?.open.size).toBe(0)
  })
})
