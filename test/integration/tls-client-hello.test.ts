import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { duplexPair } from 'node:stream'
import { connect, type SecureContext, TLSSocket } from 'node:tls'
import * as fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Host, parseHost } from '../../src/net/host.ts'
import { readClientHello } from '../../src/tls/client-hello.ts'
import { createLeafCache } from '../../src/tls/leaf-cache.ts'
import { firstBytes } from '../support/intercepting-server.ts'
import { temporaryCa } from '../support/temporary-ca.ts'
import { needs } from '../support/tools.ts'

const python = `
import socket, ssl, sys
context = ssl.create_default_context()
context.set_alpn_protocols(['http/1.1'])
context.wrap_socket(socket.create_connection(('127.0.0.1', int(sys.argv[1]))), server_hostname='good.test')
`

type Hello = { tool: string; args: (port: number) => string[]; alpn: string[]; serverName?: null }
const hellos: Record<string, Hello> = {
  curl: {
    tool: 'curl',
    args: (port) => ['-s', '--noproxy', '*', '--connect-to', `::127.0.0.1:${port}`, 'https://good.test/'],
    alpn: ['h2', 'http/1.1'],
  },
  'curl for an address': {
    tool: 'curl',
    args: (port) => ['-s', '--noproxy', '*', `https://127.0.0.1:${port}/`],
    alpn: ['h2', 'http/1.1'],
    serverName: null,
  },
  OpenSSL: {
    tool: 'openssl',
    args: (port) => ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', 'good.test', '-alpn', 'h2'],
    alpn: ['h2'],
  },
  'OpenSSL, TLS 1.2 only': {
    tool: 'openssl',
    args: (port) => ['s_client', '-tls1_2', '-connect', `127.0.0.1:${port}`, '-servername', 'good.test'],
    alpn: [],
  },
  Python: { tool: 'python3', args: (port) => ['-c', python, String(port)], alpn: ['http/1.1'] },
}

let nodeHello: Buffer
let context: SecureContext
beforeAll(async () => {
  nodeHello = await capture((port) => {
    connect({ port, host: '127.0.0.1', servername: 'good.test', ALPNProtocols: ['http/1.1'] }).on(
      'error',
      () => undefined,
    )
  })
  const { ca } = await temporaryCa()
  const limits = { leavesMax: 10, deniedLeavesMax: 10, deniedPerSecondMax: 10, now: () => new Date() }
  const host: Host = parseHost('good.test') ?? expect.fail('a host')
  context = createLeafCache(ca, limits).contextFor(host, 'allowed') ?? expect.fail('a context')
})

describe('the hello of a real client', () => {
  it('gives its name and protocols: Node', () => {
    expect(readClientHello(nodeHello)).toEqual({
      kind: 'hello',
      serverName: 'good.test',
      alpn: ['http/1.1'],
      encryptedClientHello: false,
    })
  })

  it.for(Object.entries(hellos))('gives its name and protocols: %s', async ([, hello], context) => {
    await needs(context, hello.tool)
    const bytes = await capture((port) => execFile(hello.tool, hello.args(port), () => undefined))
    const serverName = hello.serverName === undefined ? 'good.test' : null
    expect(readClientHello(bytes)).toMatchObject({ kind: 'hello', serverName })
    // Whether a client is built with HTTP/2 is its own affair.
    expect(hello.alpn).toEqual(expect.arrayContaining([...alpnOf(bytes)]))
  })

  it('is read the same in any cut, and asks for more before its end', () => {
    const whole = readClientHello(nodeHello)
    for (let length = 0; length < nodeHello.length; length++) {
      expect(readClientHello(nodeHello.subarray(0, length)).kind).toBe('more')
    }
    for (const size of [1, 9, 100, nodeHello.length]) expect(readClientHello(inRecords(nodeHello, size))).toEqual(whole)
  })

  it('is understood by OpenSSL as by us when it is cut into records', async () => {
    for (const size of [100, 300]) expect(await nameInOpenssl(inRecords(nodeHello, size), 5000)).toBe('good.test')
  })
})

describe('a hello that is changed on its way', () => {
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 })
  const changed = (edits: readonly (readonly [number, number])[]): Buffer => {
    const bytes = Buffer.from(nodeHello)
    for (const [at, value] of edits) bytes[at % bytes.length] = value
    return bytes
  }

  it('never makes the reader throw', () => {
    const answers = ['hello', 'more', 'not_tls']
    const property = fc.property(changes, fc.nat(nodeHello.length), (edits, cut) => {
      const bytes = changed(edits)
      const dropped = Buffer.concat([bytes.subarray(0, cut), bytes.subarray(cut + 1)])
      return [bytes, dropped].every((bytes) => answers.includes(readClientHello(bytes).kind))
    })
    fc.assert(property, { numRuns: 2_000 })
  })

  it('never shows OpenSSL another name than it shows us', async () => {
    // Most changes where names and lengths are: the whole hello is searched, the extension more closely.
    const at = nodeHello.indexOf('good.test')
    const near = fc.tuple(fc.integer({ min: at - 12, max: at + 12 }), fc.nat(255))
    const edits = fc.oneof(changes, fc.array(near, { minLength: 1, maxLength: 2 }))
    const property = fc.asyncProperty(edits, async (edits) => {
      const bytes = changed(edits)
      const ours = readClientHello(bytes)
      const theirs = await nameInOpenssl(bytes)
      if (theirs !== null && ours.kind === 'hello') expect(ours.serverName).toBe(theirs)
    })
    await fc.assert(property, { numRuns: 300 })
  })
})

function alpnOf(bytes: Buffer): readonly string[] {
  const read = readClientHello(bytes)
  return read.kind === 'hello' ? read.alpn : expect.fail(`it is ${read.kind}`)
}

/** What a client sends first, up to the end of its ClientHello. */
async function capture(start: (port: number) => void): Promise<Buffer> {
  const server = createServer({ pauseOnConnect: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const arrived = once(server, 'connection') as Promise<[Socket]>
  start((server.address() as AddressInfo).port)
  const [socket] = await arrived
  const bytes = await firstBytes(socket)
  socket.destroy()
  server.close()
  return bytes
}

function inRecords(hello: Buffer, size: number): Buffer {
  const records: Buffer[] = []
  for (let at = 5; at < hello.length; at += size) {
    const fragment = hello.subarray(at, at + size)
    records.push(Buffer.from([22, 3, 1, fragment.length >> 8, fragment.length & 255]), fragment)
  }
  return Buffer.concat(records)
}

/** The name in the eyes of a TLS server on OpenSSL, or null where it answers with an alert, or waits. */
async function nameInOpenssl(bytes: Buffer, patienceMs: number = 20): Promise<string | null> {
  const [client, side] = duplexPair()
  let name: string | null = null
  const server = new TLSSocket(side, {
    isServer: true,
    secureContext: context,
    SNICallback: (seen, done) => {
      name = seen
      done(null)
    },
  })
  server.on('error', () => undefined).on('_tlsError', () => undefined)
  client.on('error', () => undefined).resume()
  client.write(bytes)
  await new Promise<void>((resolve) => {
    const end = (): void => {
      clearTimeout(waiting)
      resolve()
    }
    const waiting = setTimeout(end, patienceMs)
    client.once('data', end)
    server.once('close', end)
  })
  server.destroy()
  client.destroy()
  return name
}
