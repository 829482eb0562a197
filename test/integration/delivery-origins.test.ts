import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fieldOf, RawClient, type RawResponse } from '../support/raw-client.ts'
import { answerOk } from '../support/raw-origin.ts'
import type { CertificateFault } from '../support/test-ca.ts'
import { createWorld, type World, type WorldSession } from '../support/world.ts'

let world: World
let session: WorldSession
let authority: string

beforeEach(async () => {
  world = await createWorld({
    // No deadline is what this is about, and the machine may be busy.
    limits: { firstBytesTimeoutMs: 15_000, handshakeTimeoutMs: 15_000, headTimeoutMs: 15_000 },
    rules: ({ http, https }) => [
      { host: 'good.test', ports: [http, https], addresses: ['127.0.0.0/8'], tls: 'intercept' },
      { host: 'other.test', ports: [https], addresses: ['127.0.0.0/8'], tls: 'intercept' },
    ],
    dns: { 'good.test': { a: ['127.0.0.1'] }, 'other.test': { a: ['127.0.0.1'] } },
  })
  session = await world.newSession()
  authority = `good.test:${world.ports.http}`
})
afterEach(() => world[Symbol.asyncDispose]())

async function send(client: RawClient, method = 'GET', more = '', body = ''): Promise<void> {
  const proof = `Proxy-Authorization: ${session.authorization}\r\n`
  await client.send(`${method} http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\n${proof}${more}\r\n${body}`)
}

async function exchange(method = 'GET', more = '', body = ''): Promise<RawResponse> {
  const client = await RawClient.connect(world.ports.proxy)
  await send(client, method, more, body)
  const heard = await client.response({ bodiless: method === 'HEAD' })
  client.destroy()
  return typeof heard === 'string' ? expect.fail(heard) : heard
}

/** One request inside TLS to the name; the status, and who closed it. */
async function inside(name = 'good.test'): Promise<RawResponse> {
  const client = await RawClient.connect(world.ports.proxy)
  const target = `${name}:${world.ports.https}`
  await client.send(
    `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\nProxy-Authorization: ${session.authorization}\r\n\r\n`,
  )
  await client.response({ bodiless: true })
  const secure = await client.startTls({ servername: name, ca: world.caCertificate })
  await secure.send(`GET / HTTP/1.1\r\nHost: ${target}\r\nCookie: secret=1\r\n\r\n`)
  const heard = await secure.response()
  secure.destroy()
  return typeof heard === 'string' ? expect.fail(heard) : heard
}

describe('TLS to an origin', () => {
  it.each<readonly [CertificateFault, string]>([
    ['expired', 'tls_untrusted'],
    ['not_yet_valid', 'tls_untrusted'],
    ['self_signed', 'tls_untrusted'],
    ['untrusted_issuer', 'tls_untrusted'],
    ['wrong_name', 'tls_untrusted'],
  ])('with a certificate that is %s fails each time, and no byte of a request is written', async (fault, code) => {
    // OpenSSL lets no key of a CA sign this handshake, so the self-signed one fails before it is judged.
    const said = fault === 'self_signed' ? ['tls_failed', 'tls_untrusted'] : [code]
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      Object.assign(world.https, { fault, maxVersion: version })
      // Twice: a resumed session must not stand for a certificate that was never right.
      for (let i = 0; i < 2; i++) {
        const heard = await inside()
        expect(heard.status).toBe(502)
        expect(said).toContain(fieldOf(heard, 'x-egress-reason'))
        expect(heard.body.toString()).not.toMatch(/certificate has|altname|self.signed|127\.0\.0\.1/i)
      }
    }
    for (const { received } of world.https.connections) expect(received.length).toBe(0)
    expect(world.records.at(-1)).toMatchObject({ outcome: 'failed', status: 502 })
  })

  it('of version 1.1 fails', async () => {
    world.https.maxVersion = 'TLSv1.1'
    expect((await inside()).status).toBe(502)
    expect(world.records.at(-1)).toMatchObject({ reason: 'tls_failed' })
  })

  it('that was right once does not vouch for another certificate later', async () => {
    expect((await inside()).status).toBe(200)
    for (const { socket } of world.https.connections) socket.destroy()
    world.https.fault = 'wrong_name'
    await delay(20)
    expect((await inside()).status).toBe(502)
  })

  it('shares no connection between names, and none between sessions', async () => {
    expect([(await inside()).status, (await inside()).status]).toEqual([200, 200])
    expect(world.https.connections).toHaveLength(1)
    expect((await inside('other.test')).status).toBe(200)
    expect(world.https.connections).toHaveLength(2)
    session = await world.newSession()
    expect((await inside()).status).toBe(200)
    expect(world.https.connections.map(({ serverName }) => serverName)).toEqual([
      'good.test',
      'other.test',
      'good.test',
    ])
  })
})

describe('a connection to an origin', () => {
  it('of a revoked session is closed, also while it is idle', async () => {
    expect((await exchange()).status).toBe(200)
    expect(world.http.connections[0]?.end).toBe('open')
    await session.revoke()
    await expect.poll(() => world.http.connections[0]?.end).not.toBe('open')
  })

  it('of a session revoked within an answer is cut, and the record says that we did it, not the network', async () => {
    world.http.answer = (_request, socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc')
    const client = await RawClient.connect(world.ports.proxy)
    await send(client)
    await expect.poll(() => client.unread.length).toBeGreaterThan(0)
    await session.revoke()
    expect(await client.closed()).toBe(true)
    expect(client.end).toBe('reset')
    await expect.poll(() => world.http.connections[0]?.end).not.toBe('open')
    expect(world.records).toMatchObject([{ outcome: 'interrupted', detail: 'the session was revoked' }])
  })

  it('that closed under a repeatable request is replaced once, in the same record', async () => {
    expect((await exchange()).status).toBe(200)
    let turn = 0
    world.http.answer = (request, socket, connection) =>
      turn++ === 0 ? void socket.resetAndDestroy() : answerOk(request, socket, connection)
    expect((await exchange()).status).toBe(200)
    expect(world.records.map(({ outcome }) => outcome)).toEqual(['allow', 'allow'])
    expect(turn).toBe(2)
  })

  it('that closes each time fails after the second try', async () => {
    expect((await exchange()).status).toBe(200)
    let turn = 0
    world.http.answer = (_request, socket) => {
      turn++
      socket.resetAndDestroy()
    }
    expect((await exchange()).status).toBe(502)
    expect(turn).toBe(2)
  })

  it.each([
    ['POST', 'Content-Length: 0\r\n', ''],
    ['PUT', 'Content-Length: 2\r\n', 'ab'],
    ['PATCH', '', ''],
    ['LOCK', '', ''],
  ])('that closed under a %s with %j is not replaced: it may have been done', async (method, more, body) => {
    expect((await exchange()).status).toBe(200)
    let turn = 0
    world.http.answer = (_request, socket) => {
      turn++
      socket.resetAndDestroy()
    }
    expect((await exchange(method, more, body)).status).toBe(502)
    expect(turn).toBe(1)
  })

  it('that closed after a byte of the answer is not replaced', async () => {
    expect((await exchange()).status).toBe(200)
    let turn = 0
    world.http.answer = (_request, socket) => {
      turn++
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab', () => socket.resetAndDestroy())
    }
    expect((await exchange()).complete).toBe(false)
    expect(turn).toBe(1)
  })
})

describe('an answer', () => {
  it.each([
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: x\r\n\r\n', 200, '5'],
    ['HEAD', 'HTTP/1.1 200 OK\r\nETag: x\r\n\r\n', 200, null],
    ['GET', 'HTTP/1.1 204 No Content\r\nETag: x\r\n\r\n', 204, null],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n', 304, null],
    ['GET', 'HTTP/1.1 200 OK\r\nETag: x\r\nContent-Length: 0\r\n\r\n', 200, '0'],
  ])('without a body to %s (%j) has none, and the connection goes on', async (method, answer, status, length) => {
    world.http.answer = (_request, socket) => void socket.write(answer)
    const client = await RawClient.connect(world.ports.proxy)
    for (let i = 0; i < 2; i++) {
      await send(client, method)
      const heard = await client.response({ bodiless: method === 'HEAD' })
      if (typeof heard === 'string') expect.fail(heard)
      expect([heard.status, heard.complete, heard.body.length]).toEqual([status, true, 0])
      expect(fieldOf(heard, 'content-length')).toBe(length)
      expect(fieldOf(heard, 'etag')).toBe('x')
    }
    client.destroy()
    expect(world.records).toHaveLength(2)
  })

  it.each([299, 418, 599, 600, 799])('with status %i is passed on as it is', async (status) => {
    world.http.answer = (_request, socket) => void socket.write(`HTTP/1.1 ${status} Odd\r\nContent-Length: 0\r\n\r\n`)
    expect((await exchange()).status).toBe(status)
  })

  it.each([
    ['a control character', 'X-A: a\u0001b'],
    ['a DEL', 'X-A: a\u007fb'],
    ['a NUL', 'X-A: a\u0000b'],
  ])('with %s in a field is no answer: 502', async (_name, field) => {
    world.http.answer = (_request, socket) =>
      void socket.write(Buffer.from(`HTTP/1.1 200 OK\r\n${field}\r\nContent-Length: 0\r\n\r\n`, 'latin1'))
    expect((await exchange()).status).toBe(502)
    expect(world.records.at(-1)).toMatchObject({ outcome: 'failed', reason: 'origin_malformed' })
  })

  it('with bytes above ASCII in a field keeps them', async () => {
    world.http.answer = (_request, socket) =>
      void socket.write(Buffer.from('HTTP/1.1 200 OK\r\nX-A: \u00fc\u00ff\r\nContent-Length: 0\r\n\r\n', 'latin1'))
    expect(fieldOf(await exchange(), 'x-a')).toBe('\u00fc\u00ff')
  })

  it.each([
    ['a length', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc'],
    ['chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'],
  ])('framed by %s that ends too early does not end cleanly', async (_name, answer) => {
    world.http.answer = (_request, socket) => void socket.end(answer)
    expect(await exchange()).toMatchObject({ status: 200, complete: false })
    await expect.poll(() => world.records.at(-1)?.outcome).toBe('failed')
  })

  it('that ends too early resets a client of HTTP/1.0, for which an end is an end', async () => {
    world.http.answer = (_request, socket) =>
      void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc', () => {
        setTimeout(() => socket.destroy(), 30)
      })
    const client = await RawClient.connect(world.ports.proxy)
    await client.send(
      `GET http://${authority}/ HTTP/1.0\r\nHost: ${authority}\r\nProxy-Authorization: ${session.authorization}\r\n\r\n`,
    )
    await client.closed()
    expect(client.end).toBe('reset')
  })

  it('before the upload has ended is given, and the upload is read away', async () => {
    world.http.onConnection = (socket) => {
      socket.once('data', () =>
        socket.end('HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno'),
      )
    }
    const client = await RawClient.connect(world.ports.proxy)
    await send(client, 'POST', 'Content-Length: 3000000\r\n')
    const chunk = Buffer.alloc(100_000)
    await client.send(...Array.from({ length: 30 }, () => chunk))
    expect(await client.response()).toMatchObject({ status: 413, complete: true })
    client.destroy()
    await expect.poll(() => world.records.length).toBe(1)
  })

  it('is held back at the origin while the client does not read, and comes whole when it does', async () => {
    const size = 64 * 1024 * 1024
    const chunk = Buffer.alloc(65_536, 'd')
    let written = 0
    world.http.answer = (_request, socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`)
      const write = (): void => {
        while (written < size) {
          written += chunk.length
          if (!socket.write(chunk)) return
        }
      }
      socket.on('drain', write)
      write()
    }
    const client = await RawClient.connect(world.ports.proxy)
    const { socket } = client
    socket.pause()
    socket.removeAllListeners('data')
    await send(client)
    await delay(300)
    const before = written
    await delay(200)
    // What is on the way stands in the kernel's buffers and one of ours.
    expect(written).toBe(before)
    expect(written).toBeLessThan(size / 2)
    const hash = createHash('sha256')
    let got = 0
    socket.on('data', (bytes: Buffer) => {
      got += bytes.length
      hash.update(bytes)
    })
    socket.resume()
    await expect.poll(() => got, { timeout: 10_000 }).toBeGreaterThan(size)
    client.destroy()
    await expect.poll(() => world.records.at(-1)?.outcome).toBe('allow')
    expect(world.records.at(-1)?.bytesDown).toBeGreaterThanOrEqual(size)
  })
})
