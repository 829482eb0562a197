import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseProxyHeader } from '../../../src/net/proxy-protocol.ts'

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')

function binary(command: number, family: number, rest: Buffer, length = rest.length): Buffer {
  const head = Buffer.from([command, family, length >> 8, length & 255])
  return Buffer.concat([signature, head, rest])
}

const four = Buffer.from([192, 0, 2, 7, 10, 0, 0, 1, 0x9c, 0x40, 0x0c, 0x38])
const six = Buffer.concat([
  Buffer.from('20010db8000000000000000000000009', 'hex'),
  Buffer.from('20010db8000000000000000000000001', 'hex'),
  Buffer.from([0x9c, 0x40, 0x0c, 0x38]),
])
const mapped = Buffer.concat([Buffer.from('00000000000000000000ffffc0000207', 'hex'), six.subarray(16)])

const good: readonly (readonly [name: string, bytes: Buffer | string, client: string | null, own?: boolean])[] = [
  ['version 1 of IPv4', 'PROXY TCP4 192.0.2.7 10.0.0.1 40000 3128\r\n', '192.0.2.7'],
  ['version 1 of IPv6', 'PROXY TCP6 2001:db8::9 2001:db8::1 40000 3128\r\n', '2001:db8::9'],
  ['version 1 of IPv4 in IPv6', 'PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 40000 3128\r\n', '192.0.2.7'],
  ['version 1 that does not know', 'PROXY UNKNOWN\r\n', null],
  ['version 1 that does not know, with words', 'PROXY UNKNOWN 192.0.2.7 10.0.0.1 1 2\r\n', null],
  ['version 2 of IPv4', binary(0x21, 0x11, four), '192.0.2.7'],
  ['version 2 of IPv6', binary(0x21, 0x21, six), '2001:db8::9'],
  ['version 2 of IPv4 in IPv6', binary(0x21, 0x21, mapped), '192.0.2.7'],
  [
    'version 2 with more behind the addresses',
    binary(0x21, 0x11, Buffer.concat([four, Buffer.alloc(200, 4)])),
    '192.0.2.7',
  ],
  ['version 2 of a Unix socket', binary(0x21, 0x31, Buffer.alloc(216)), null],
  ['version 2 that does not know', binary(0x21, 0x00, Buffer.alloc(0)), null],
  ['version 2 of the balancer itself', binary(0x20, 0x00, Buffer.alloc(0)), null, true],
  ['version 2 of the balancer itself, with addresses', binary(0x20, 0x11, four), null, true],
]

const bad: readonly (readonly [name: string, bytes: Buffer | string])[] = [
  ['HTTP', 'GET http://a.test/ HTTP/1.1\r\n'],
  ['TLS', Buffer.from([0x16, 3, 1])],
  ['lower case', 'proxy TCP4 192.0.2.7 10.0.0.1 40000 3128\r\n'],
  ['another transport', 'PROXY UDP4 192.0.2.7 10.0.0.1 40000 3128\r\n'],
  ['the other family', 'PROXY TCP4 2001:db8::9 2001:db8::1 40000 3128\r\n'],
  ['a short address', 'PROXY TCP4 127.1 10.0.0.1 40000 3128\r\n'],
  ['a name', 'PROXY TCP4 a.test 10.0.0.1 40000 3128\r\n'],
  ['two spaces', 'PROXY TCP4  192.0.2.7 10.0.0.1 40000 3128\r\n'],
  ['a port too large', 'PROXY TCP4 192.0.2.7 10.0.0.1 70000 3128\r\n'],
  ['a port with a zero before it', 'PROXY TCP4 192.0.2.7 10.0.0.1 040 3128\r\n'],
  ['one port', 'PROXY TCP4 192.0.2.7 10.0.0.1 40000\r\n'],
  ['LF alone', `PROXY TCP4 192.0.2.7 10.0.0.1 40000 3128\n${'x'.repeat(107)}`],
  ['a line of no end', `PROXY UNKNOWN ${'x'.repeat(107)}`],
  ['version 3', binary(0x31, 0x11, four)],
  ['a command that there is not', binary(0x22, 0x11, four)],
  ['a family that there is not', binary(0x21, 0x41, four)],
  ['datagrams', binary(0x21, 0x12, four)],
  ['addresses cut off', binary(0x21, 0x11, four.subarray(0, 11))],
  ['IPv6 with the addresses of IPv4', binary(0x21, 0x21, four)],
  ['a header that is too long', binary(0x21, 0x11, four, 5000)],
]

const bytesOf = (text: Buffer | string): Buffer => (typeof text === 'string' ? Buffer.from(text, 'latin1') : text)

describe('a header of the PROXY protocol', () => {
  it.each(good.map(([name, bytes, client, own = false]) => ({ name, bytes, client, own })))('$name', (one) => {
    const { client, own } = one
    const bytes = bytesOf(one.bytes)
    const header = { kind: 'header', length: bytes.length, client, own }
    expect(parseProxyHeader(bytes)).toEqual(header)
    expect(parseProxyHeader(Buffer.concat([bytes, Buffer.from('GET /')]))).toEqual(header)
    for (let end = 0; end < bytes.length; end++) expect(parseProxyHeader(bytes.subarray(0, end)).kind).toBe('more')
  })

  it.each(bad)('%s is none', (_name, text) => {
    expect(parseProxyHeader(bytesOf(text)).kind).toBe('bad')
  })

  it('is read out of any bytes without a throw, and never beyond its bound', () => {
    const start = fc.constantFrom(Buffer.alloc(0), signature, Buffer.from('PROXY TCP4 '))
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 300 }), (before, rest) => {
        const found = parseProxyHeader(Buffer.concat([before, rest]))
        if (found.kind === 'header') expect(found.length).toBeLessThanOrEqual(before.length + rest.length)
      }),
    )
    expect(parseProxyHeader(Buffer.concat([signature, Buffer.alloc(6000, 0x21)])).kind).toBe('bad')
  })
})
