import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Host, parseHost } from '../../src/net/host.ts'
import { createIntercept, type Interception } from '../../src/tls/intercept.ts'
import { createLeafCache, type LeafCache } from '../../src/tls/leaf-cache.ts'
import type { SigningCa } from '../../src/tls/signing-ca.ts'
import { interceptingServer } from '../support/intercepting-server.ts'
import { temporaryCa } from '../support/temporary-ca.ts'
import { needs } from '../support/tools.ts'

const host = (text: string): Host => parseHost(text) ?? expect.fail(`${text} is a host`)
const goodHost = host('good.test')
let ca: SigningCa
let leaves: LeafCache
beforeAll(async () => {
  ;({ ca } = await temporaryCa())
  const limits = { leavesMax: 100, deniedLeavesMax: 10, deniedPerSecondMax: 10 }
  leaves = createLeafCache(ca, { ...limits, now: () => new Date() })
})

const world = (handshakeTimeoutMs = 5_000, from: Pick<LeafCache, 'contextFor'> = leaves, as = goodHost) =>
  interceptingServer(createIntercept({ leaves: from, handshakeTimeoutMs }), as)

function client(port: number, options: ConnectionOptions = {}): TLSSocket {
  const socket = connect({ port, host: '127.0.0.1', servername: 'good.test', ca: ca.certificatePem, ...options })
  socket.on('error', () => undefined)
  return socket
}

async function secured(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = client(port, options)
  await once(socket, 'secureConnect')
  return socket
}

async function get(socket: TLSSocket): Promise<string> {
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
  socket.write('GET / HTTP/1.1\r\nHost: good.test\r\nConnection: close\r\n\r\n')
  await once(socket, 'close')
  return text
}

function failureOf(interception: Interception): { detail: string; clientRejected: boolean } {
  return interception.kind === 'failed' ? interception : expect.fail(`it is ${interception.kind}`)
}

/** A TCP client that writes these bytes and holds the connection. */
async function raw(port: number, bytes: Buffer): Promise<Socket> {
  const socket = connectTcp(port, '127.0.0.1')
  socket.on('error', () => undefined).resume()
  await once(socket, 'connect')
  socket.write(bytes)
  return socket
}

// A complete ClientHello with one cipher suite and no extensions: OpenSSL answers it or refuses it, as it likes.
const bareHello = Buffer.from(`160301002d010000290303${'07'.repeat(32)}000002c02b0100`, 'hex')

describe('a client that trusts the CA', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'gets a connection over %s, and http/1.1 as its protocol',
    async (version) => {
      await using server = await world()
      const options = { minVersion: version, maxVersion: version, ALPNProtocols: ['http/1.1'] }
      const socket = await secured(server.port, options)
      expect(socket.alpnProtocol).toBe('http/1.1')
      expect(socket.getProtocol()).toBe(version)
      expect(await server.next()).toMatchObject({ kind: 'open', serverName: 'good.test' })
      expect(await get(socket)).toContain('hello from good.test')
    },
  )

  it('gets HTTP/2 where it offers that too, and is told so', async () => {
    await using server = await world()
    for (const ALPNProtocols of [['http/1.1', 'h2'], ['h2']]) {
      const socket = await secured(server.port, { ALPNProtocols })
      expect(socket.alpnProtocol).toBe('h2')
      expect(await server.next()).toMatchObject({ kind: 'open', protocol: 'h2' })
      socket.destroy()
    }
  })

  it('may send no server name, and may name no protocol', async () => {
    await using server = await world()
    const socket = await secured(server.port, { servername: '', checkServerIdentity: () => undefined })
    expect(socket.alpnProtocol).toBe(false)
    expect(await server.next()).toMatchObject({ kind: 'open', serverName: null })
    expect(await get(socket)).toContain('hello')
  })

  it('sees an address in the leaf when the host is one', async () => {
    await using server = await world(5_000, leaves, host('127.0.0.1'))
    const socket = await secured(server.port, { servername: '' })
    expect(socket.getPeerX509Certificate()?.subjectAltName).toBe('IP Address:127.0.0.1')
    expect(await get(socket)).toContain('hello from 127.0.0.1')
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('resumes its session over %s for the same host only', async (version) => {
    await using server = await world()
    await using other = await world(5_000, leaves, host('other.test'))
    const versions = { minVersion: version, maxVersion: version }
    const first = client(server.port, versions)
    const tickets: Buffer[] = []
    first.on('session', (ticket) => tickets.push(ticket))
    await once(first, 'secureConnect')
    await get(first)
    const session = tickets.at(-1) ?? expect.fail('the server sent no ticket')
    const again = await secured(server.port, { ...versions, session })
    expect(again.isSessionReused()).toBe(true)
    await server.next()
    expect(await server.next()).toMatchObject({ kind: 'open', serverName: 'good.test' })
    expect(await get(again)).toContain('hello from good.test')
    const elsewhere = await secured(other.port, { ...versions, session, servername: 'other.test' })
    expect(elsewhere.isSessionReused()).toBe(false)
    expect(await get(elsewhere)).toContain('hello from other.test')
  })

  it('cannot renegotiate', async () => {
    await using server = await world()
    const socket = await secured(server.port, { maxVersion: 'TLSv1.2' })
    const error = new Promise((resolve) => socket.once('error', resolve))
    socket.resume().renegotiate({}, () => undefined)
    expect(String(await error)).toMatch(/no renegotiation/)
    socket.destroy()
  })
})

describe('a client that does not', () => {
  it.for(['-tls1_2', '-tls1_3'])('is known by its alert (%s)', async (version, context) => {
    await needs(context, 'openssl')
    await using server = await world()
    const target = ['-connect', `127.0.0.1:${server.port}`, '-servername', 'good.test']
    execFile('openssl', ['s_client', version, '-verify_return_error', '-no-CAfile', ...target], () => undefined)
    const failure = failureOf(await server.next())
    expect(failure.clientRejected).toBe(true)
    expect(failure.detail).toMatch(/unknown ca/)
    expect(server.sockets[0]?.destroyed).toBe(true)
  })

  it('is refused below TLS 1.2, without the blame of having rejected the certificate', async () => {
    await using server = await world()
    client(server.port, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' })
    expect(failureOf(await server.next())).toMatchObject({ clientRejected: false })
    expect(server.sockets[0]?.destroyed).toBe(true)
  })

  it('is refused when it speaks neither HTTP/2 nor HTTP/1.1', async () => {
    await using server = await world()
    client(server.port, { ALPNProtocols: ['spdy/3'] })
    expect(failureOf(await server.next()).clientRejected).toBe(false)
  })
})

describe('a connection that goes wrong', () => {
  const cases: Record<string, Buffer> = {
    'noise behind a ClientHello': Buffer.concat([bareHello, Buffer.alloc(300, 0xa5)]),
    'plain HTTP': Buffer.from('GET / HTTP/1.1\r\nHost: good.test\r\n\r\n'),
    'an alert first': Buffer.from('15030100020228', 'hex'),
    'a message of length 1': Buffer.from('16030100050100000100', 'hex'),
    'a record of an impossible length': Buffer.from('160303ffff', 'hex'),
    'an SSLv2 hello': Buffer.from('802e0100020015', 'hex'),
  }
  it.each(Object.entries(cases))('ends as failed for %s, and a good client comes after', async (_name, bytes) => {
    await using server = await world(500)
    const socket = await raw(server.port, bytes)
    expect(failureOf(await server.next()).clientRejected).toBe(false)
    expect(server.sockets[0]?.destroyed).toBe(true)
    socket.destroy()
    expect(await get(await secured(server.port))).toContain('hello from good.test')
  })

  it('ends at the deadline when the client falls silent', async () => {
    await using server = await world(100)
    // The first flight of a real client, and then nothing: the server's answer is never acknowledged.
    const silent = await raw(server.port, await helloOf())
    const before = performance.now()
    expect(failureOf(await server.next()).detail).toMatch(/took too long/)
    expect(performance.now() - before).toBeLessThan(2_000)
    await once(silent, 'close')
    expect(server.sockets[0]?.destroyed).toBe(true)
  })

  it('ends at once when the client leaves in the middle', async () => {
    await using server = await world()
    const socket = await raw(server.port, await helloOf())
    await once(socket, 'data')
    socket.resetAndDestroy()
    expect(failureOf(await server.next()).clientRejected).toBe(false)
  })

  it('has no leaf: the socket is destroyed', async () => {
    await using server = await world(5_000, { contextFor: () => null })
    client(server.port)
    expect(await server.next()).toEqual({ kind: 'no_leaf' })
    expect(server.sockets[0]?.destroyed).toBe(true)
  })

  it('after it opened, ends with an error for noise, and in silence for a reset', async () => {
    await using server = await world()
    for (const harm of ['noise', 'reset']) {
      const under = connectTcp(server.port, '127.0.0.1')
      await secured(server.port, { socket: under })
      const interception = await server.next()
      const socket = interception.kind === 'open' ? interception.socket : expect.fail('it opens')
      const closed = new Promise((resolve) => socket.once('close', resolve))
      if (harm === 'noise') {
        const error = new Promise((resolve) => socket.once('error', resolve))
        under.write(Buffer.from('1703030020'.padEnd(74, 'a'), 'hex'))
        expect(await error).toBeInstanceOf(Error)
      } else under.resetAndDestroy()
      await closed
      under.destroy()
    }
  })
})

/** The bytes with which Node begins a handshake. */
async function helloOf(): Promise<Buffer> {
  const { createServer } = await import('node:net')
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : expect.fail('a port')
  const arrived = once(server, 'connection') as Promise<[Socket]>
  const socket = client(port)
  const [peer] = await arrived
  const [bytes] = (await once(peer, 'data')) as [Buffer]
  socket.destroy()
  peer.destroy()
  server.close()
  return bytes
}
