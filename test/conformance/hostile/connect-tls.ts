/** TUN, TLS, H2: what may be said first in a tunnel, and to whom (RFC 9110 §9.3.6, RFC 6066 §3, RFC 8446 §4.1.2). */

import { expect } from 'vitest'
import { fieldOf } from '../../support/raw-client.ts'
import type { WorldOptions } from '../../support/world.ts'
import { type Expectation, type HostileCase, malformed, shown, type Spot, variants } from './case.ts'

export const tunnelRules: WorldOptions['rules'] = ({ http, https }) => {
  const common = { ports: [http, https], addresses: ['127.0.0.0/8'] }
  return [
    { ...common, host: 'good.test', tls: 'intercept' },
    { ...common, host: 'tun.test', tls: 'tunnel' },
  ]
}

/** A ClientHello of TLS 1.2 in one record, with these server names of these types, and extensions behind them. */
function clientHello(names: readonly (readonly [type: number, name: string])[], more: readonly Buffer[] = []): string {
  const list = Buffer.concat(
    names.map(([type, name]) => Buffer.concat([Buffer.from([type]), vector(2, Buffer.from(name, 'latin1'))])),
  )
  const sni = names.length === 0 ? [] : [extension(0, vector(2, list))]
  const groups = extension(10, vector(2, Buffer.from([0, 29, 0, 23])))
  const signatures = extension(13, vector(2, Buffer.from([4, 3, 8, 4, 4, 1])))
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    vector(1, Buffer.alloc(0)),
    vector(2, Buffer.from([0xc0, 0x2b, 0xc0, 0x2f])),
    vector(1, Buffer.from([0])),
    vector(2, Buffer.concat([...sni, groups, signatures, ...more])),
  ])
  const message = Buffer.concat([Buffer.from([1]), vector(3, body)])
  return Buffer.concat([Buffer.from([22, 3, 1]), vector(2, message)]).toString('latin1')
}

function extension(type: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type >> 8, type & 255]), vector(2, body)])
}

function vector(lengthBytes: number, body: Buffer): Buffer {
  const length = Buffer.alloc(lengthBytes)
  length.writeUIntBE(body.length, 0, lengthBytes)
  return Buffer.concat([length, body])
}

/** 200, then an end without an answer: nothing of the client's bytes may have reached the origin. */
const opaque: Expectation = { statuses: [200], after: 'cut', records: ['deny opaque_tunnel'], requests: 0 }
const mismatch: Expectation = { ...opaque, records: ['deny authority_mismatch'] }

const notTls = [
  'SSH-2.0-OpenSSH_9.6\r\n',
  'EHLO good.test\r\n',
  '*1\r\n$4\r\nPING\r\n',
  'PING\r\n',
  '\x05\x01\x00',
  '\0\x01\x02\x03\x04\x05',
  'USER anonymous\r\n',
  'get / HTTP/1.1\r\nHost: good.test\r\n\r\n',
  'SOURCE / HTTP/1.0\r\n\r\n',
  'GETX / HTTP/1.1\r\n\r\n',
  '\r\n\r\nGET / HTTP/1.1\r\n\r\n',
  ' GET / HTTP/1.1\r\n\r\n',
  '\x80.',
  '\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10',
  '\x15\x03\x01\x00\x02\x02\x28',
  '\x17\x03\x03\x00\x05hello',
  '\x14\x03\x03\x00\x01\x01',
  'BREW / HTTP/1.1\r\n\r\n',
] // prettier-ignore

const brokenHellos = [
  '\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00',
  '\x16\x03\x03\xff\xff',
  '\x16\x03\x01\x00\x00',
  '\x16\x02\x00\x00\x05\x01\x00\x00\x01\x00',
  '\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00',
  '\x16\x03\x01',
  '\x16',
  clientHello([[0, 'good.test']]).slice(0, 60),
  `${clientHello([[0, 'good.test']])}junk`.replace('\x16\x03\x01\0', '\x16\x03\x01\x01'),
  clientHello([
    [0, 'good.test'],
    [0, 'evil.test'],
  ]),
  clientHello([[1, 'good.test']]),
  clientHello([[0, 'good.test\0.evil.test']]),
  clientHello([[0, '']]),
  clientHello([[0, 'good.test']], [extension(0, Buffer.from([0, 12, 0, 0, 9, ...Buffer.from('evil.test')]))]),
] // prettier-ignore

const otherNames = [
  'evil.test',
  'x_front.example',
  'x.good.test',
  'good.test.',
  'good.test:443',
  `${'a'.repeat(250)}.test`,
  '127.0.0.1',
  '::1',
  '[::1]',
  'good.tes',
  '*.test',
  'tun.test.evil.test',
  'evil.test/good.test',
] // prettier-ignore

export const connectTls: readonly HostileCase[] = [
  ...['good.test', 'tun.test'].flatMap((host) => [
    ...variants(`TUN-09-${host}-`, notTls, (bytes) => ({
      what: `CONNECT ${host}, then ${shown(bytes)}`,
      ...inConnect(host, bytes, opaque),
    })),
    ...variants(`TUN-10-${host}-`, brokenHellos, (bytes) => ({
      what: `CONNECT ${host}, then a hello that is none (${shown(bytes)})`,
      ...inConnect(host, bytes, opaque),
    })),
    ...variants(`TUN-04-${host}-`, otherNames, (name) => ({
      what: `CONNECT ${host}, then a ClientHello for ${name.slice(0, 40)}`,
      ...inConnect(host, clientHello([[0, name]]), mismatch),
    })),
    {
      id: `TUN-03-${host}`,
      what: `CONNECT ${host}, then a ClientHello without a name`,
      ...inConnect(host, clientHello([]), mismatch),
    },
    {
      id: `TUN-05-${host}`,
      what: `CONNECT ${host}, then encrypted ClientHello behind another name`,
      ...inConnect(host, clientHello([[0, 'cloudflare-ech.com']], [extension(0xfe0d, Buffer.alloc(40, 1))]), mismatch),
    },
    {
      id: `RES-03-${host}`,
      what: `CONNECT ${host}, then silence`,
      ...inConnect(host, '', opaque),
    },
    {
      id: `TUN-10g-${host}`,
      what: `CONNECT ${host}, then the client leaves`,
      // It may have left before we began to listen for what it says first.
      ...inConnect(host, '', { ...opaque, records: [['abandoned', 'deny opaque_tunnel']] }),
      ending: 'fin' as const,
    },
  ]),
  ...variants(
    'H2-02',
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'PRI * HTTP/1.1\r\nHost: good.test\r\n\r\n'],
    (preface) => ({
      what: `HTTP/2 with prior knowledge (${shown(preface)})`,
      send: () => preface,
      expect: malformed,
    }),
  ),
  {
    id: 'H2-02x',
    what: 'Upgrade: h2c is no upgrade, and HTTP2-Settings goes nowhere',
    send: (spot) =>
      `GET ${spot.target('/')} HTTP/1.1\r\n${spot.lines}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n`,
    expect: { statuses: [200], after: 'open', records: ['allow'], requests: 1 },
  },
  ...variants('TUN-12', ['CONNECT evil.test:443', 'CONNECT 127.0.0.1:22', 'CONNECT localhost:443'], (line) => ({
    what: `${line} with a request in the same packet: denied, and what follows is not read`,
    places: ['proxy'],
    send: (spot: Spot) => `${line} HTTP/1.1\r\n${spot.proof}\r\nGET ${spot.target('/')} HTTP/1.1\r\n${spot.lines}\r\n`,
    expect: { statuses: [403], after: 'closed', records: ['deny host_not_allowed'], requests: 0 },
  })),
  {
    id: 'TUN-19',
    what: 'CONNECT without credentials and a request in the same packet: asked for them, and what follows is not read',
    places: ['proxy'],
    send: (spot: Spot) =>
      `CONNECT good.test:${spot.ports.https} HTTP/1.1\r\n\r\nGET ${spot.target('/')} HTTP/1.1\r\n${spot.lines}\r\n`,
    expect: {
      statuses: [407],
      after: 'closed',
      records: ['challenge session_unknown'],
      requests: 0,
      check: ({ responses: [told] }) => expect(told === undefined ? null : fieldOf(told, 'connection')).toBe('close'),
    },
  },
]

/** A tunnel to a host no rule looks inside is dialled before it is answered, so a connection without a byte is no harm. */
function inConnect(
  host: string,
  bytes: string,
  expected: Expectation,
): Pick<HostileCase, 'expect' | 'places' | 'sees' | 'send'> {
  return {
    places: ['proxy'],
    send: (spot) => [
      `CONNECT ${host}:${spot.ports.https} HTTP/1.1\r\n${spot.proof}\r\n`,
      ...(bytes === '' ? [] : [bytes]),
    ],
    ...(host === 'good.test' ? { expect: expected } : { sees: host, expect: { ...expected, broken: true } }),
  }
}
