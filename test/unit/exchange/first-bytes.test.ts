import { once } from 'node:events'
import net from 'node:net'
import { array, assert, boolean, constantFrom, nat, property, uint8Array } from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { classifyFirstBytes, type FirstBytes, readFirstBytes } from '../../../src/exchange/first-bytes.ts'
import { judgeServerName } from '../../../src/exchange/open-intercepted.ts'
import { authorityOf } from './fixture.ts'

async function clientHello(servername: string): Promise<Buffer> {
  const { connect } = await import('node:tls')
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  const client = connect({ host: '127.0.0.1', port, servername })
  client.on('error', () => undefined)
  const [socket] = (await once(server, 'connection')) as [net.Socket]
  const [bytes] = (await once(socket, 'data')) as [Buffer]
  client.destroy()
  socket.destroy()
  server.close()
  return bytes
}

let hello: Buffer
beforeAll(async () => {
  hello = await clientHello('api.test')
})

function kindOf(bytes: Buffer | string): string {
  return classifyFirstBytes(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)?.kind ?? 'more'
}

/** What a reader says that sees the bytes in pieces, as long as it asks for more. */
function inPieces(bytes: Buffer, cuts: readonly number[]): FirstBytes | null {
  for (const end of [...cuts].sort((a, b) => a - b)) {
    const found = classifyFirstBytes(bytes.subarray(0, end))
    if (found !== null) return found
  }
  return classifyFirstBytes(bytes)
}

describe('first bytes', () => {
  it.each([
    ['', 'more'],
    ['G', 'more'],
    ['GET', 'more'],
    ['GET /', 'http'],
    ['POST / HTTP/1.1\r\n', 'http'],
    ['PROPFIND /', 'http'],
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'http'],
    ['CONNECT a:443 HTTP/1.1\r\n', 'http'],
    ['TRACE /', 'http'],
    ['GETX / HTTP/1.1', 'opaque'],
    ['GETX', 'opaque'],
    ['get /', 'opaque'],
    [' GET /', 'opaque'],
    ['\r\nGET /', 'opaque'],
    ['FROB /', 'opaque'],
    ['SSH-2.0-OpenSSH_9.6\r\n', 'opaque'],
    ['EHLO mail.test\r\n', 'opaque'],
    ['HELO x', 'opaque'],
    ['*1\r\n$4\r\nPING\r\n', 'opaque'],
    ['PING\r\n', 'opaque'],
    ['STARTTLS\r\n', 'opaque'],
    ['220 smtp.test ready', 'opaque'],
    ['USER anonymous', 'opaque'],
    ['\u0005\u0001\u0000', 'opaque'],
    ['\u0000', 'opaque'],
    ['\u0080\u002e\u0001', 'opaque'],
    ['\u0016\u0003\u0001', 'more'],
    ['\u0016GET /', 'opaque'],
  ])('%j: %s', (bytes, kind) => {
    expect(kindOf(bytes)).toBe(kind)
  })

  it('of TLS tell the server name, and keep every byte', () => {
    expect(classifyFirstBytes(hello)).toEqual({ kind: 'tls', bytes: hello, serverName: 'api.test' })
  })

  it('never throw, whatever they are', () => {
    assert(
      property(uint8Array({ maxLength: 300 }), boolean(), (bytes, tls) => {
        classifyFirstBytes(Buffer.from(tls ? [0x16, 3, 1, ...bytes] : bytes))
      }),
    )
  })

  it('say the same wherever they are split', () => {
    const texts = ['GET / HTTP/1.1\r\n\r\n', 'GETX /', 'SSH-2.0-x\r\n', 'PRI * HTTP/2.0', 'PROPPATCH /x ', 'EHLO a\r\n']
    const whole = [hello, ...texts.map((text) => Buffer.from(text))]
    assert(
      property(constantFrom(...whole), array(nat({ max: 2000 }), { maxLength: 6 }), (bytes, cuts) => {
        const split = inPieces(bytes, cuts)
        expect(split?.kind).toBe(classifyFirstBytes(bytes)?.kind)
        if (split?.kind === 'tls') expect(split.serverName).toBe('api.test')
      }),
    )
  })
})

describe('first bytes read from a socket', () => {
  let server: net.Server
  let port: number
  beforeAll(async () => {
    server = net.createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as net.AddressInfo).port
  })
  afterAll(() => void server.close())

  async function pair(): Promise<{ client: net.Socket; socket: net.Socket }> {
    const accepted = once(server, 'connection') as Promise<[net.Socket]>
    const client = net.connect({ port, host: '127.0.0.1', noDelay: true })
    client.on('error', () => undefined)
    const [socket] = await accepted
    socket.on('error', () => undefined)
    return { client, socket }
  }

  it('come together from many segments, and leave the socket paused without listeners', async () => {
    const { client, socket } = await pair()
    const before = socket.eventNames().length
    const read = readFirstBytes(socket, hello.subarray(0, 3), 2000)
    for (let at = 3; at < hello.length; at += 40) {
      client.write(hello.subarray(at, at + 40))
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(await read).toEqual({ kind: 'tls', bytes: hello, serverName: 'api.test' })
    expect(socket.isPaused()).toBe(true)
    expect(socket.eventNames()).toHaveLength(before)
    client.destroy()
    socket.destroy()
  })

  it('that came with the CONNECT are enough', async () => {
    const { client, socket } = await pair()
    expect(await readFirstBytes(socket, Buffer.from('GET / HTTP/1.1\r\n'), 2000)).toMatchObject({ kind: 'http' })
    client.destroy()
    socket.destroy()
  })

  it.each([
    ['nothing', '', 'silence'],
    ['half a hello', '\u0016\u0003\u0001', 'the first message did not end in time'],
  ])('that are %s end in a refusal by the deadline', async (_name, sent, detail) => {
    const { client, socket } = await pair()
    if (sent !== '') client.write(sent, 'latin1')
    expect(await readFirstBytes(socket, Buffer.alloc(0), 100)).toEqual({ kind: 'opaque', detail })
    client.destroy()
    socket.destroy()
  })

  it.each(['end', 'resetAndDestroy'] as const)('never come when the client does `%s`', async (leave) => {
    const { client, socket } = await pair()
    const read = readFirstBytes(socket, Buffer.alloc(0), 2000)
    client[leave]()
    expect(await read).toEqual({ kind: 'gone' })
    client.destroy()
    socket.destroy()
  })
})

describe('the server name', () => {
  it.each([
    ['api.test', 'api.test:443', 'fits'],
    ['API.Test', 'api.test:443', 'fits'],
    ['api.test', 'api.test:8443', 'fits'],
    [null, '192.0.2.1:443', 'fits'],
    [null, '[2001:db8::1]:443', 'fits'],
    [null, 'api.test:443', 'authority_mismatch'],
    ['', 'api.test:443', 'authority_mismatch'],
    ['evil.test', 'api.test:443', 'authority_mismatch'],
    ['api.test.', 'api.test:443', 'authority_mismatch'],
    ['api.test\u0000.evil.test', 'api.test:443', 'authority_mismatch'],
    ['xapi.test', 'api.test:443', 'authority_mismatch'],
    ['192.0.2.1', '192.0.2.1:443', 'authority_mismatch'],
    ['127.1', '127.0.0.1:443', 'authority_mismatch'],
    ['api.test', '192.0.2.1:443', 'authority_mismatch'],
    ['*.test', 'api.test:443', 'authority_mismatch'],
  ])('%j for CONNECT %s: %s', (serverName, authority, said) => {
    expect(judgeServerName(serverName, authorityOf(authority))?.reason ?? 'fits').toBe(said)
  })
})
