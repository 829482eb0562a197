import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  basicOf,
  parseSocksCredentials,
  parseSocksGreeting,
  parseSocksRequest,
  type SocksRead,
} from '../../../src/net/socks.ts'
import { socksConnect, socksCredentials, socksGreeting, socksRequest } from '../../support/socks-client.ts'

const parsers: readonly (readonly [name: string, parse: (bytes: Buffer) => SocksRead<unknown>])[] = [
  ['greeting', parseSocksGreeting],
  ['credentials', parseSocksCredentials],
  ['request', parseSocksRequest],
]

const problem = (reply: string, detail: RegExp): object => ({
  kind: 'problem',
  detail: expect.stringMatching(detail) as string,
  reply: Buffer.from(reply, 'hex'),
})

function said(read: SocksRead<unknown>): string {
  if (read.kind === 'problem') return `${read.detail} ${read.reply.toString('hex')}`
  return read.kind === 'value' ? `${JSON.stringify(read.value)} ${read.length}` : 'more'
}

describe('a greeting', () => {
  it.each([
    ['one method', socksGreeting(0), [0]],
    ['several, in order', socksGreeting(2, 0, 1), [2, 0, 1]],
    ['as many as there may be', socksGreeting(...Array<number>(255).fill(7)), Array<number>(255).fill(7)],
  ])('has %s', (_what, bytes, value) =>
    expect(parseSocksGreeting(bytes)).toEqual({ kind: 'value', value, length: bytes.length }),
  )

  it.each([
    ['of SOCKS4', '0401005001020304', '005b000000000000', /SOCKS4/],
    ['of another version', '06', '05ff', /version 5/],
    ['of no method', '0500', '05ff', /without a method/],
  ])('%s is none', (_what, bytes, reply, detail) =>
    expect(parseSocksGreeting(Buffer.from(bytes, 'hex'))).toEqual(problem(reply, detail)),
  )
})

describe('credentials', () => {
  it.each([
    ['s-1', 'token'],
    ['', ''],
    ['a'.repeat(255), 'b'.repeat(255)],
    ['\0\xff', ' '],
  ])('%j and %j are both', (user, password) => {
    const bytes = socksCredentials(user, password)
    expect(parseSocksCredentials(bytes)).toEqual({ kind: 'value', value: { user, password }, length: bytes.length })
  })

  it.each(['05', '00', '02'])('of version %s are none', (version) =>
    expect(parseSocksCredentials(Buffer.from(version, 'hex'))).toEqual(problem('0101', /version 1/)),
  )

  it('are the pair that Basic has', () => {
    const pair = Buffer.from('s-1:to:ken').toString('base64')
    expect(basicOf({ user: 's-1', password: 'to:ken' })).toBe(`Basic ${pair}`)
  })

  it('with a colon in the name are no other pair', () => {
    expect(basicOf({ user: 's-1:to', password: 'ken' })).toBe('Basic')
    expect(basicOf({ user: 's-1:token', password: '' })).toBe('Basic')
  })
})

const v4 = (...octets: readonly number[]): Buffer => socksRequest({ type: 1, address: Buffer.from(octets), port: 443 })
const v6 = (hex: string): Buffer => socksRequest({ type: 4, address: Buffer.from(hex, 'hex'), port: 443 })
const named = { type: 3, address: Buffer.from('\x09good.test', 'latin1'), port: 443 }

describe('a request', () => {
  it.each([
    ['a name', socksConnect('good.test', 443), 'good.test:443'],
    ['a name in capitals, absolute', socksConnect('GOOD.test.', 65_535), 'good.test:65535'],
    ['the longest name', socksConnect(`${'a.'.repeat(126)}b`, 1), `${'a.'.repeat(126)}b:1`],
    ['an address', v4(127, 0, 0, 1), '127.0.0.1:443'],
    ['an address in version 6', v6(`${'0'.repeat(31)}1`), '[::1]:443'],
    ['an address in version 6, written short', v6('20010db8000000000001000000000000'), '[2001:db8:0:0:1::]:443'],
    ['an address that is one of version 4', v6('00000000000000000000ffff7f000001'), '127.0.0.1:443'],
    ['a name that is an address', socksConnect('127.0.0.1', 443), '127.0.0.1:443'],
    ['a name that is an address of version 6', socksConnect('[::1]', 443), '[::1]:443'],
  ])('for %s', (_what, bytes, text) =>
    expect(parseSocksRequest(bytes)).toMatchObject({ kind: 'value', value: { text }, length: bytes.length }),
  )

  it.each([
    ['another version', { version: 4 }, 1, /version 5/],
    ['BIND', { command: 2 }, 7, /BIND is not CONNECT/],
    ['UDP ASSOCIATE', { command: 3 }, 7, /UDP ASSOCIATE is not CONNECT/],
    ['command zero', { command: 0 }, 7, /command 0 is not/],
    ["Tor's RESOLVE", { command: 0xf0 }, 7, /command 240 is not/],
    ['a reserved byte', { reserved: 1 }, 1, /reserved/],
    ['address type 0', { type: 0 }, 8, /address type 0/],
    ['address type 2', { type: 2 }, 8, /address type 2/],
    ['address type 255', { type: 255 }, 8, /address type 255/],
    ['port zero', { port: 0 }, 1, /port/],
    ['an empty name', { address: Buffer.from([0]) }, 1, /no host/],
  ])('with %s is refused', (_what, changes, code, detail) =>
    expect(parseSocksRequest(socksRequest({ ...named, ...changes }))).toEqual(
      problem(`050${code}0001000000000000`, detail),
    ),
  )

  it.each([
    'evil.test\0.good.test',
    'good.test\0',
    '127.1',
    '0x7f000001',
    '2130706433',
    '::1',
    '[::1%lo]',
    'good test',
    'good.test:443',
    'u@good.test',
    'g\xf6od.test',
    '*.good.test',
    'a'.repeat(255),
  ])('for %j is refused', (name) =>
    expect(parseSocksRequest(socksConnect(name, 443))).toEqual(problem('05010001000000000000', /no host/)),
  )
})

describe.each(parsers)('any bytes as %s', (_name, parse) => {
  const likely = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.uint8Array({ maxLength: 40 }).map((tail) => Uint8Array.from([5, 1, 0, 3, 9, ...tail])),
    fc.uint8Array({ maxLength: 40 }).map((tail) => Uint8Array.from([1, 3, ...tail])),
    fc
      .record({ name: fc.string({ maxLength: 60 }), port: fc.nat(65_535) })
      .map(({ name, port }) => Uint8Array.from(socksConnect(name, port))),
  )

  it('are read the same however they are cut, and nothing is read beyond its end', () => {
    fc.assert(
      fc.property(likely, (array) => {
        const bytes = Buffer.from(array)
        let decided: string | null = null
        for (let length = 0; length <= bytes.length; length++) {
          const read = parse(bytes.subarray(0, length))
          if (read.kind === 'value') expect(read.length).toBeLessThanOrEqual(length)
          if (decided !== null) expect(said(read)).toBe(decided)
          else if (read.kind !== 'more') decided = said(read)
        }
      }),
      { numRuns: 500 },
    )
  })
})
