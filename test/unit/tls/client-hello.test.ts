import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ClientHello, clientHelloBytesMax, readClientHello } from '../../../src/tls/client-hello.ts'

const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255])
const u24 = (value: number): Buffer => Buffer.from([value >> 16, (value >> 8) & 255, value & 255])
const vector8 = (content: Buffer): Buffer => Buffer.concat([Buffer.from([content.length]), content])
const vector16 = (content: Buffer): Buffer => Buffer.concat([u16(content.length), content])
const extension = (type: number, content: Buffer): Buffer => Buffer.concat([u16(type), vector16(content)])
const nameEntry = (name: string | Buffer, type = 0): Buffer =>
  Buffer.concat([Buffer.from([type]), vector16(Buffer.from(name))])
const sni = (...entries: Buffer[]): Buffer => extension(0, vector16(Buffer.concat(entries)))
const alpn = (...protocols: string[]): Buffer =>
  extension(16, vector16(Buffer.concat(protocols.map((name) => vector8(Buffer.from(name))))))

type Parts = {
  version?: number
  sessionId?: Buffer
  ciphers?: Buffer
  compression?: Buffer
  extensions?: Buffer | null
}

function body(parts: Parts): Buffer {
  const { version = 0x0303, sessionId = Buffer.alloc(32), ciphers = Buffer.from('13011302', 'hex') } = parts
  const { compression = Buffer.from([0]), extensions = Buffer.alloc(0) } = parts
  const block = extensions === null ? Buffer.alloc(0) : vector16(extensions)
  return Buffer.concat([
    u16(version),
    Buffer.alloc(32, 7),
    vector8(sessionId),
    vector16(ciphers),
    vector8(compression),
    block,
  ])
}
const message = (content: Buffer, type = 1): Buffer =>
  Buffer.concat([Buffer.from([type]), u24(content.length), content])
const record = (content: Buffer, type = 22, version = 0x0301): Buffer =>
  Buffer.concat([Buffer.from([type]), u16(version), vector16(content)])
const hello = (extensions: Buffer, parts: Parts = {}): Buffer => record(message(body({ ...parts, extensions })))

/** Cuts the handshake message into records of `size` bytes. */
function inRecords(content: Buffer, size: number): Buffer {
  const records: Buffer[] = []
  for (let at = 0; at < content.length; at += size) records.push(record(content.subarray(at, at + size)))
  return Buffer.concat(records)
}

const detailOf = (read: ClientHello): string => (read.kind === 'not_tls' ? read.detail : read.kind)
const good = hello(Buffer.concat([sni(nameEntry('good.test')), alpn('h2', 'http/1.1')]))
const goodRead = { kind: 'hello', serverName: 'good.test', alpn: ['h2', 'http/1.1'], encryptedClientHello: false }

describe('a well-formed ClientHello', () => {
  it('gives the server name and the protocols', () => {
    expect(readClientHello(good)).toEqual(goodRead)
  })

  it('is read the same however it is cut into segments, and asks for more before its end', () => {
    for (let length = 0; length < good.length; length++) {
      expect(readClientHello(good.subarray(0, length))).toEqual({ kind: 'more' })
    }
  })

  it.each([1, 2, 3, 4, 5, 7, 64, 1000])('is read the same in records of %i bytes, in any segments', (size) => {
    const cut = inRecords(good.subarray(5), size)
    expect(readClientHello(cut)).toEqual(goodRead)
    for (let length = 0; length < cut.length; length += 3) {
      expect(readClientHello(cut.subarray(0, length))).toEqual({ kind: 'more' })
    }
  })

  it('is read when more bytes follow it', () => {
    expect(readClientHello(Buffer.concat([good, Buffer.from('140303000101', 'hex')]))).toEqual(goodRead)
    expect(readClientHello(Buffer.concat([good, Buffer.alloc(clientHelloBytesMax)]))).toEqual(goodRead)
  })

  it('keeps the case of the name and says null where there is none', () => {
    expect(readClientHello(hello(sni(nameEntry('GOOD.Test'))))).toMatchObject({ serverName: 'GOOD.Test' })
    expect(readClientHello(hello(alpn('http/1.1')))).toMatchObject({ serverName: null, alpn: ['http/1.1'] })
    expect(readClientHello(hello(Buffer.alloc(0)))).toMatchObject({ kind: 'hello', serverName: null })
  })

  it('may leave the block of extensions out', () => {
    expect(readClientHello(record(message(body({ version: 0x0301, extensions: null }))))).toMatchObject({
      kind: 'hello',
      serverName: null,
    })
  })

  it('shows an encrypted ClientHello', () => {
    const ech = extension(0xfe0d, Buffer.alloc(200))
    expect(readClientHello(hello(Buffer.concat([sni(nameEntry('outer.test')), ech])))).toMatchObject({
      serverName: 'outer.test',
      encryptedClientHello: true,
    })
  })

  it('may be large: 40 KiB of padding in three records', () => {
    const large = message(
      body({ extensions: Buffer.concat([extension(21, Buffer.alloc(40_000)), sni(nameEntry('a.b'))]) }),
    )
    expect(readClientHello(inRecords(large, 16_384))).toMatchObject({ kind: 'hello', serverName: 'a.b' })
  })

  it('shows names that are no host as they are, for the caller to find unequal', () => {
    for (const name of ['x_front.example', 'a'.repeat(300), '10.0.0.1', 'good.test.', 'good.test:443', '*.good.test']) {
      expect(readClientHello(hello(sni(nameEntry(name))))).toMatchObject({ serverName: name })
    }
  })
})

describe('what is not a ClientHello', () => {
  const cases: Record<string, [Buffer, RegExp]> = {
    'plain HTTP': [Buffer.from('GET / HTTP/1.1\r\n'), /not a handshake record/],
    SSH: [Buffer.from('SSH-2.0-x\r\n'), /not a handshake record/],
    'an SSLv2 hello': [Buffer.from('802e0100020015', 'hex'), /not a handshake record/],
    'an alert first': [Buffer.from('15030100020228', 'hex'), /not a handshake record/],
    'one byte that cannot begin a record': [Buffer.from([23]), /not a handshake record/],
    'SSL 3.0': [record(message(body({})), 22, 0x0300), /no version of TLS/],
    'a record of version 3.5': [record(message(body({})), 22, 0x0305), /no version of TLS/],
    'a record of version 2.x': [Buffer.from('1602', 'hex'), /no version of TLS/],
    'an empty record': [Buffer.from('1603010000', 'hex'), /impossible length/],
    'a record over 2^14': [Buffer.from('160303ffff', 'hex'), /impossible length/],
    'a ServerHello': [record(message(body({}), 2)), /begin with a ClientHello/],
    'a message of length 0': [Buffer.from('160301000401000000', 'hex'), /cut short/],
    'a message of length 1': [Buffer.from('16030100050100000100', 'hex'), /cut short/],
    'a message of 16 MiB': [Buffer.from('160301000401ffffff', 'hex'), /too long/],
    'bytes behind the message in its record': [
      record(Buffer.concat([message(body({})), Buffer.from([0])])),
      /goes on behind/,
    ],
    'an alert between the records of a hello': [
      Buffer.concat([record(good.subarray(5, 40)), Buffer.from('15030100020100', 'hex')]),
      /not a handshake record/,
    ],
    'more records than a hello has bytes': [
      inRecords(message(body({ extensions: extension(21, Buffer.alloc(3000)) })), 1),
      /too many records/,
    ],
    'a ClientHello of version 3.0': [hello(Buffer.alloc(0), { version: 0x0300 }), /no version of TLS/],
    'a session id of 33 bytes': [hello(Buffer.alloc(0), { sessionId: Buffer.alloc(33) }), /session id/],
    'no cipher suites': [hello(Buffer.alloc(0), { ciphers: Buffer.alloc(0) }), /cipher suites/],
    'half a cipher suite': [hello(Buffer.alloc(0), { ciphers: Buffer.alloc(3) }), /cipher suites/],
    'no compression method': [hello(Buffer.alloc(0), { compression: Buffer.alloc(0) }), /compression/],
    'bytes behind the extensions': [
      record(message(Buffer.concat([body({}), Buffer.from([0])]))),
      /do not fill the ClientHello/,
    ],
    'one byte where the extensions should be': [
      record(message(Buffer.concat([body({ extensions: null }), Buffer.from([0])]))),
      /do not fill the ClientHello/,
    ],
    'half an extension': [hello(Buffer.from('00000009', 'hex')), /do not fill/],
    'an extension twice': [hello(Buffer.concat([alpn('h2'), alpn('h2')])), /given twice/],
    'an unknown extension twice': [
      hello(Buffer.concat([extension(0xaaaa, Buffer.alloc(0)), extension(0xaaaa, Buffer.alloc(1))])),
      /given twice/,
    ],
    'two server_name extensions': [
      hello(Buffer.concat([sni(nameEntry('good.test')), sni(nameEntry('evil.test'))])),
      /given twice/,
    ],
    'two names in one extension': [hello(sni(nameEntry('good.test'), nameEntry('evil.test'))), /more than one/],
    'a second name of another type': [hello(sni(nameEntry('good.test'), nameEntry('x', 1))), /more than one/],
    'a name of another type': [hello(sni(nameEntry('good.test', 1))), /unknown type/],
    'an empty name': [hello(sni(nameEntry(''))), /empty or not printable/],
    'a name with NUL': [hello(sni(nameEntry('good.test\0.evil.test'))), /empty or not printable/],
    'a name with a space': [hello(sni(nameEntry('good test'))), /empty or not printable/],
    'a name that ends in a newline': [hello(sni(nameEntry('good.test\n'))), /empty or not printable/],
    'a name in UTF-8': [hello(sni(nameEntry('gööd.test'))), /empty or not printable/],
    'an empty list of names': [hello(sni()), /malformed/],
    'an empty server_name extension': [hello(extension(0, Buffer.alloc(0))), /malformed/],
    'bytes behind the list of names': [
      hello(extension(0, Buffer.concat([vector16(nameEntry('good.test')), Buffer.from([0])]))),
      /malformed/,
    ],
    'a name longer than its list': [hello(extension(0, Buffer.from('00050000ff6161', 'hex'))), /malformed/],
    'an empty list of protocols': [hello(alpn()), /ALPN/],
    'an empty protocol': [hello(alpn('h2', '')), /ALPN/],
    'bytes behind the list of protocols': [hello(extension(16, Buffer.from('000302683200', 'hex'))), /ALPN/],
  }
  it.each(Object.entries(cases))('%s', (_name, [bytes, detail]) => {
    expect(detailOf(readClientHello(bytes))).toMatch(detail)
  })

  it('a hello that never ends is given up at the limit', () => {
    const long = inRecords(message(body({ extensions: extension(21, Buffer.alloc(65_400)) })), 1_000)
    expect(long.length).toBeGreaterThan(clientHelloBytesMax)
    expect(readClientHello(long.subarray(0, clientHelloBytesMax - 1))).toEqual({ kind: 'more' })
    expect(detailOf(readClientHello(long.subarray(0, clientHelloBytesMax)))).toMatch(/does not end/)
    expect(detailOf(readClientHello(long))).toMatch(/does not end/)
  })
})

describe('whatever the bytes', () => {
  const isAnswer = (read: ClientHello): boolean => ['hello', 'more', 'not_tls'].includes(read.kind)

  it('it never throws', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => isAnswer(readClientHello(Buffer.from(bytes)))))
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) =>
        isAnswer(readClientHello(record(message(body({ extensions: Buffer.from(bytes) }))))),
      ),
    )
  })

  it('a verdict other than more does not change when more bytes come', () => {
    const change = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(change, fc.nat(good.length), (changes, cut) => {
        const bytes = Buffer.from(good)
        for (const [at, value] of changes) bytes[at] = value
        const early = readClientHello(bytes.subarray(0, cut))
        if (early.kind !== 'more') expect(readClientHello(bytes)).toEqual(early)
      }),
    )
  })

  it('a generated hello gives back its name and protocols in any records', () => {
    const name = fc.stringMatching(/^[!-~]{1,80}$/)
    const protocols = fc.array(fc.stringMatching(/^[ -~]{1,20}$/), { minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(name, protocols, fc.integer({ min: 1, max: 600 }), (serverName, protocols, size) => {
        const content = message(body({ extensions: Buffer.concat([sni(nameEntry(serverName)), alpn(...protocols)]) }))
        expect(readClientHello(inRecords(content, size))).toMatchObject({ serverName, alpn: protocols })
      }),
    )
  })
})
