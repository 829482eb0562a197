import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fieldOf, RawClient, type RawResponse } from '../support/raw-client.ts'
import { type RawOrigin, startRawOrigin } from '../support/raw-origin.ts'
import { createTestCa } from '../support/test-ca.ts'
import { createWorld, type World } from '../support/world.ts'

const secret = 'sk-in-vault-0123456789'
const pins = ['127.0.0.0/8']

let world: World
let vault: RawOrigin
let ca: ReturnType<typeof createTestCa>

beforeEach(async () => {
  ca = createTestCa()
  vault = await startRawOrigin(ca)
  vault.answer = (_request, socket) => {
    const body = JSON.stringify({ data: { data: { value: secret } } })
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  }
})
afterEach(async () => {
  await world[Symbol.asyncDispose]()
  await vault[Symbol.asyncDispose]()
})

async function start(addresses: readonly string[] | undefined): Promise<void> {
  const port = vault.port
  const key = { address: `https://vault.test:${port}`, path: 'secret/data/key', field: 'value' }
  const dns = Object.fromEntries(['good', 'vault', 'alias'].map((name) => [`${name}.test`, { a: ['127.0.0.1'] }]))
  world = await createWorld({
    originCa: ca,
    rules: ({ https }) => [
      { host: 'good.test', ports: [https], addresses: pins, credential: 'account' },
      ...['vault.test', 'alias.test', '127.0.0.1'].map((host) => ({
        host,
        ports: [port],
        addresses: pins,
        tls: 'intercept',
      })),
    ],
    dns: { ...dns },
    secrets: { VAULT_TOKEN: 's.vault-token' },
    credentials: [
      {
        name: 'account',
        kind: 'bearer',
        secret: { vault: addresses === undefined ? key : { ...key, addresses } },
        hosts: ['good.test'],
      },
    ],
  })
}

/** One request inside TLS through the proxy. */
async function ask(name: string, port = world.ports.https): Promise<RawResponse> {
  const client = await RawClient.connect(world.ports.proxy)
  const { authorization } = await world.newSession()
  const target = `${name}:${port}`
  await client.send(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\nProxy-Authorization: ${authorization}\r\n\r\n`)
  await client.response({ bodiless: true })
  const secure = await client.startTls({ servername: name, ca: world.caCertificate })
  await secure.send(`GET / HTTP/1.1\r\nHost: ${target}\r\n\r\n`)
  const heard = await secure.response()
  secure.destroy()
  return typeof heard === 'string' ? expect.fail(heard) : heard
}

function receivedBy(origin: RawOrigin): string {
  return origin.connections.map(({ received }) => received.toString('latin1')).join('')
}

describe('a secret in a vault', () => {
  it('is had over TLS, once, and put on; the question is no exchange of the sandbox', async () => {
    await start(pins)
    expect([(await ask('good.test')).status, (await ask('good.test')).status]).toEqual([200, 200])
    expect(receivedBy(world.https).split(`Authorization: Bearer ${secret}`)).toHaveLength(3)
    expect(vault.connections).toHaveLength(1)
    expect(receivedBy(vault)).toContain('GET /v1/secret/data/key HTTP/1.1\r\n')
    expect(receivedBy(vault).toLowerCase()).toContain('x-vault-token: s.vault-token\r\n')
    expect(world.records.map(({ host, status }) => `${host} ${status}`)).toEqual(['good.test 200', 'good.test 200'])
    for (const shown of [...world.logged, await world.auditText()]) {
      expect(shown).not.toContain(secret)
      expect(shown).not.toContain('s.vault-token')
    }
  })

  it('cannot be had where the addresses of the vault are not listed, and nobody is dialled', async () => {
    await start(undefined)
    const heard = await ask('good.test')
    expect([heard.status, fieldOf(heard, 'x-egress-reason')]).toEqual([503, 'secret_unavailable'])
    expect(vault.connections).toEqual([])
    expect(world.logged.join('')).toContain('address_not_public')
  })

  it('cannot be had from one whose certificate is wrong, and it does not see the token', async () => {
    await start(pins)
    vault.fault = 'wrong_name'
    expect((await ask('good.test')).status).toBe(503)
    expect(receivedBy(vault)).toBe('')
    expect(world.logged.join('')).toContain('certificate could not be verified')
  })

  it('does not follow a vault that sends elsewhere', async () => {
    await start(pins)
    vault.answer = (_request, socket) =>
      void socket.write(`HTTP/1.1 307 No\r\nLocation: https://evil.test/\r\nContent-Length: 0\r\n\r\n`)
    expect((await ask('good.test')).status).toBe(503)
    expect(JSON.stringify(world.dns.queries)).not.toContain('evil')
    expect(world.https.connections).toEqual([])
  })

  it('makes its vault a place that no sandbox reaches, by any name, before it was ever asked', async () => {
    await start(pins)
    for (const name of ['vault.test', 'alias.test'])
      expect(fieldOf(await ask(name, vault.port), 'x-egress-reason')).toBe('own_address')
    expect(vault.connections).toEqual([])
  })
})
