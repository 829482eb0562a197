/** IP, DNS: the address judged is the address dialled, and no name, spelling or answer leads to one that is not public. */

import { expect } from 'vitest'
import type { DnsTable } from '../../support/dns-stand-in.ts'
import type { WorldOptions } from '../../support/world.ts'
import { failed, type HostileCase, noTunnel, passed, refused, request, variants } from './case.ts'

/** Literals as they may be written, each in the one spelling that an origin would be told. */
const specialLiterals = [
  '127.0.0.1',
  '127.255.255.255',
  '10.0.0.1',
  '10.255.255.255',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.0.1',
  '100.64.0.1',
  '100.127.255.255',
  '169.254.0.1',
  '169.254.169.254',
  '169.254.170.2',
  '100.100.100.200',
  '192.0.0.192',
  '168.63.129.16',
  '192.0.0.1',
  '192.0.2.1',
  '198.18.0.1',
  '198.19.255.255',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
  '0.0.0.0',
  '0.1.2.3',
  '[::1]',
  '[::]',
  '[fc00::1]',
  '[fdff::1]',
  '[fe80::1]',
  '[fec0::1]',
  '[ff02::1]',
  '[2001:db8::1]',
  '[100::1]',
  '[fd00:ec2::254]',
  '[::7f00:1]',
  '[64:ff9b::a9fe:a9fe]',
  '[64:ff9b::7f00:1]',
  '[64:ff9b::a00:1]',
  '[64:ff9b:1::7f00:1]',
  '[2002:7f00:1::]',
  '[2002:a00:1::1]',
  '[2001:0:4136:e378:8000:63bf:3fff:fdd2]',
  '[fe80::5efe:7f00:1]',
  '[2001:db8::5efe:7f00:1]',
  '[::ffff:0:7f00:1]',
  '[3fff::1]',
  '[5f00::1]',
  '[4000::1]',
] // prettier-ignore

/** Answers for names that a rule allows, without `addresses`. */
const privateAnswers: Readonly<Record<string, DnsTable[string]>> = {
  loopback: { a: ['127.0.0.1'] },
  'ten-net': { a: ['10.0.0.5'] },
  link: { a: ['169.254.169.254'] },
  mapped: { aaaa: ['::ffff:10.0.0.5'] },
  'mapped-loopback': { aaaa: ['::ffff:127.0.0.1'] },
  nat64: { aaaa: ['64:ff9b::7f00:1'] },
  sixtofour: { aaaa: ['2002:7f00:1::1'] },
  six: { aaaa: ['::1'] },
  unique: { aaaa: ['fd00::1'] },
  zero: { a: ['0.0.0.0'] },
  'mixed-first': { a: ['127.0.0.1', '93.184.216.34'] },
  'mixed-last': { a: ['93.184.216.34', '127.0.0.1'] },
  'mixed-families': { a: ['93.184.216.34'], aaaa: ['::1'] },
  alias: { cname: 'metadata.google.internal', a: ['169.254.169.254'] },
  'alias-loopback': { cname: 'localhost', a: ['127.0.0.1'] },
}

const privateNames = Object.keys(privateAnswers).map((name) => `${name}.private.test`)

export const addressDns: DnsTable = {
  'good.test': { a: ['127.0.0.1'] },
  localhost: { a: ['127.0.0.1'], aaaa: ['::1'] },
  'metadata.google.internal': { a: ['169.254.169.254'] },
  ...Object.fromEntries(Object.entries(privateAnswers).map(([name, answer]) => [`${name}.private.test`, answer])),
  'outside.pinned.test': { a: ['10.0.0.5'] },
  'public.pinned.test': { a: ['93.184.216.34'] },
  'mixed.pinned.test': { a: ['127.0.0.1', '10.0.0.5'] },
  'link.pinned.test': { a: ['169.254.169.254'] },
  'zero.pinned.test': { a: ['0.0.0.0'] },
  'six.pinned.test': { a: ['127.0.0.1'], aaaa: ['::1'] },
  'inside.pinned.test': { a: ['127.0.0.1'] },
  'servfail.pinned.test': 'servfail',
  'nothing.pinned.test': 'nothing',
  'silence.pinned.test': 'silence',
  'truncated.pinned.test': 'truncated',
  'many.pinned.test': { a: Array.from({ length: 100 }, (_, index) => `127.0.1.${index}`) },
  'refused.pinned.test': { a: ['127.0.0.77'] },
}

export const addressRules: WorldOptions['rules'] = ({ http, https, proxy, control }) => {
  const ports = [http, https]
  return [
    { host: 'good.test', ports, addresses: ['127.0.0.0/8'], tls: 'intercept' },
    { host: '*.private.test', ports, tls: 'intercept' },
    { host: '*.pinned.test', ports, addresses: ['127.0.0.0/8'], tls: 'intercept' },
    { host: 'localhost', ports, tls: 'intercept' },
    { host: 'metadata.google.internal', ports, tls: 'intercept' },
    { host: 'own.test', ports: [proxy, control], addresses: ['127.0.0.0/8'], tls: 'intercept' },
    { host: 'own-tunnel.test', ports: [proxy, control], addresses: ['127.0.0.0/8'], tls: 'tunnel' },
    { host: '*.tunnel.test', ports, tls: 'tunnel' },
    ...specialLiterals.map((host) => ({ host, ports, tls: 'intercept' })),
  ]
}

const notPublic = refused(403, 'address_not_public')
const get = request('GET')

/** What resolves to an address of our own, or is refused only after it was resolved, may have been asked of DNS. */
export const addresses: readonly HostileCase[] = [
  ...variants('IP-16', specialLiterals, (host) => ({
    what: `${host} is allowed by name and still not public`,
    host,
    send: get,
    expect: notPublic,
  })),
  ...variants(
    'IP-10',
    [
      ['[::ffff:127.0.0.1]', '127.0.0.1'],
      ['[::ffff:7f00:1]', '127.0.0.1'],
      ['[0:0:0:0:0:ffff:a9fe:a9fe]', '169.254.169.254'],
      ['[::FFFF:0a00:0001]', '10.0.0.1'],
    ],
    ([host = '', sees = '']) => ({
      what: `${host} has the verdict of ${sees}`,
      places: ['proxy'],
      host,
      sees,
      send: get,
      expect: notPublic,
    }),
  ),
  ...variants('IP-17', privateNames, (host) => ({
    what: `${host} resolves to what is not public, in part or whole (IP-18, IP-20)`,
    host,
    send: get,
    expect: notPublic,
  })),
  ...variants('IP-21', ['localhost', 'metadata.google.internal'], (host) => ({
    what: `${host}, allowed by name`,
    host,
    send: get,
    expect: notPublic,
  })),
  ...variants('IP-17t', ['loopback.tunnel.test'], (host) => ({
    what: `CONNECT ${host}: refused before the tunnel opens`,
    places: ['proxy'],
    host,
    send: (spot) => `CONNECT ${host}:${spot.ports.https} HTTP/1.1\r\n${spot.proof}\r\n`,
    expect: noTunnel('address_not_public'),
  })),
  ...variants('IP-22', ['outside', 'public', 'mixed', 'six'], (name) => ({
    what: `${name}.pinned.test resolves outside the rule's addresses`,
    host: `${name}.pinned.test`,
    send: get,
    expect: refused(403, 'address_not_allowed'),
  })),
  ...variants('IP-15', ['link', 'zero'], (name) => ({
    what: `${name}.pinned.test resolves to what no policy opens`,
    host: `${name}.pinned.test`,
    send: get,
    expect: notPublic,
  })),
  {
    id: 'IP-22p',
    what: "inside the rule's addresses",
    host: 'inside.pinned.test',
    send: get,
    expect: passed(),
  },
  ...variants('SES-11', ['proxy', 'control'] as const, (which) => ({
    what: `our own ${which} port, by a name that is allowed there`,
    places: ['proxy'],
    host: 'own.test',
    send: (spot) => {
      const authority = `own.test:${spot.ports[which]}`
      return `GET http://${authority}/metrics HTTP/1.1\r\nHost: ${authority}\r\n${spot.proof}\r\n`
    },
    expect: refused(403, 'own_address'),
  })),
  ...variants('SES-11c', ['proxy', 'control'] as const, (which) => ({
    what: `our own ${which} port, by CONNECT`,
    places: ['proxy'],
    host: 'own-tunnel.test',
    send: (spot) => `CONNECT own-tunnel.test:${spot.ports[which]} HTTP/1.1\r\n${spot.proof}\r\n`,
    expect: noTunnel('own_address'),
  })),
  ...variants(
    'DNS-03',
    [
      ['servfail', 502, 'dns_failed'],
      ['absent', 502, 'dns_failed'],
      ['nothing', 502, 'dns_failed'],
      ['silence', 504, 'dns_timeout'],
      ['truncated', 502, 'dns_failed'],
      ['many', 502, 'dns_failed'],
      ['refused', 502, 'connect_failed'],
    ] as const,
    ([name, status, code]) => ({
      what: `${name} is told in general words`,
      host: `${name}.pinned.test`,
      send: get,
      expect: {
        ...failed(status, code),
        after: 'open',
        check: ({ responses: [response] }) =>
          expect(response?.body.toString()).not.toMatch(/127\.0|ECONN|ESERVFAIL|ENOTFOUND|queryA/),
      },
    }),
  ),
]
