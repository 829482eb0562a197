/** SEC, EXF: what of a request stands in its body, and fields that the rules set. */

import zlib from 'node:zlib'
import { expect } from 'vitest'
import { valuesOf } from '../../support/strict-http.ts'
import type { WorldOptions } from '../../support/world.ts'
import { type HostileCase, passed, refused, type Seen, type Spot, variants } from './case.ts'

export const canary = 'canary-5d0c2b7e91f34a6c8e1d-secret'

/** `pinned.test` has a credential, `clean.test` none and takes none, `judged.test` rules on bodies, `tenant.test` on fields. */
export const bodiesWorld: Partial<WorldOptions> = {
  dns: { '*.test': { a: ['127.0.0.1'] } },
  secrets: { CANARY: canary },
  limits: { judgedBodyBytesMax: 4096, judgedBodyMs: 1000 },
  credentials: [
    {
      name: 'key',
      kind: 'header',
      header: 'X-Api-Key',
      secret: { env: 'CANARY' },
      hosts: ['pinned.test', 'unread.test', 'strip.test'],
    },
    {
      name: 'swap',
      kind: 'placeholder',
      in: [{ json: 'api_key' }, { header: 'x-other' }],
      secret: { env: 'CANARY' },
      hosts: ['swap.test'],
      placeholder: { env: 'SWAP' },
    },
  ],
  rules: ({ http, https }) => {
    const common = { ports: [http, https], addresses: ['127.0.0.0/8'], tls: 'intercept' }
    return [
      { ...common, host: 'good.test' },
      { ...common, host: 'pinned.test', credential: 'key' },
      { ...common, host: 'swap.test', credential: 'swap' },
      { ...common, host: 'unread.test', credential: 'key', unsafeUncheckedBody: true },
      { ...common, host: 'strip.test', foreignCredentials: 'strip' },
      { ...common, host: 'clean.test', foreignCredentials: 'deny' },
      { ...common, host: 'judged.test' },
      { action: 'deny', host: 'judged.test', body: { 'tools.*.type': ['mcp', 'web_*'] } },
      { action: 'deny', host: 'judged.test', body: { '**.image_url': ['!data:*'] } },
      { action: 'deny', host: 'judged.test', headers: { 'x-amz-copy-source': ['*'], 'x-b': ['on'] } },
      { action: 'deny', host: 'judged.test', headers: { 'anthropic-beta': ['mcp-*', 'files-*'] } },
      { ...common, host: 'wanted.test', body: { model: ['small-*'], 'variables.owner': ['acme'] } },
      { ...common, host: 'asked.test', headers: { 'x-tenant': ['acme'] } },
      { ...common, host: 'tenant.test', set: { 'X-Org': 'acme' } },
      { action: 'set', host: 'tenant.test', set: { 'X-Tenant-Policy': 'acme:policy', 'X-Project': null } },
      { ...common, host: 'torn.test', set: { 'X-Org': 'acme' } },
      { action: 'set', host: '**.torn.test', set: { 'x-org': 'other' } },
    ]
  },
}

/** A POST with a body framed by its length. */
function post(type: string, body: string, lines = ''): HostileCase['send'] {
  const typed = type === '' ? '' : `Content-Type: ${type}\r\n`
  return (spot) => head(spot, `${typed}${lines}Content-Length: ${Buffer.byteLength(body, 'latin1')}\r\n`) + body
}

function head(spot: Spot, lines: string): string {
  return `POST ${spot.target('/')} HTTP/1.1\r\n${spot.lines}${lines}\r\n`
}

function chunked(type: string, pieces: readonly string[]): HostileCase['send'] {
  return (spot) => [
    head(spot, `Content-Type: ${type}\r\nTransfer-Encoding: chunked\r\n`),
    ...pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`),
    '0\r\n\r\n',
  ]
}

const arrives =
  (body: string) =>
  ({ requests: [sent] }: Seen): void =>
    expect(sent?.body.toString('latin1')).toBe(body)

function part(name: string, value: string): string {
  return `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
}

const tunnel = { places: ['tunnel'] } as const
const json = 'application/json'
const form = 'application/x-www-form-urlencoded'
const multipart = 'multipart/form-data; boundary=b'

const mixed = 'multipart/mixed; boundary=b'

/** One part, with a type of its own. */
function typed(type: string, content: string, boundary = 'b'): string {
  return `--${boundary}\r\nContent-Type: ${type}\r\n\r\n${content}\r\n--${boundary}--\r\n`
}

function innerRequest(lines: string, query = '', body = ''): string {
  return typed('application/http', `POST /inner${query} HTTP/1.1\r\n${lines}\r\n${body}`)
}

/** The innermost has the boundary `n1`. */
function nested(depth: number, inner: string, at = 1): string {
  return depth < at ? inner : nested(depth, typed(`multipart/mixed; boundary=n${at}`, inner, `n${at + 1}`), at + 1)
}

const coded = (encode: (bytes: Buffer) => Buffer, text: string): string => encode(Buffer.from(text)).toString('latin1')

const keysInBodies: readonly (readonly [type: string, body: string])[] = [
  [json, '{"api_key":"attacker"}'],
  [json, ' {"a":1,"API-Key":"attacker"}'],
  [json, '{"api\\u005fkey":"attacker"}'],
  [json, '{"api_key":"","api_key":"attacker"}'],
  [json, '{"api_key":"attacker","api_key":""}'],
  [json, '{"clientSecret":"attacker"}'],
  [json, '{"access_token":["attacker"]}'],
  [json, '[{"a":1},{"token":"attacker"}]'],
  ['application/vnd.x+json; charset=utf-8', '{"token":"attacker"}'],
  ['text/plain', '{"token":"attacker"}'],
  ['', '{"token":"attacker"}'],
  [form, '{"token":"attacker"}'],
  [form, 'a=b&client_secret=attacker'],
  [form, 'a=b&client%5Fsecret=attacker'],
  [form, 'a=b;Token=attacker'],
  ['', 'password=attacker'],
  [multipart, `${part('a', 'b')}${part('X-Amz-Signature', 'attacker')}--b--\r\n`],
  [multipart, `${part('api_key', 'attacker')}--b--`],
  [multipart, `--b\r\ncontent-disposition: form-data; filename=x; name*=utf-8''api%5Fkey\r\n\r\nattacker\r\n--b--\r\n`],
  [multipart, typed('multipart/mixed; boundary=i', typed(json, '{"token":"attacker"}', 'i'))],
  [multipart, innerRequest('Authorization: Bearer attacker\r\n')],
  [mixed, `${part('token', 'attacker')}--b--`],
  [mixed, typed(json, '{"token":"attacker"}')],
  [mixed, typed(json, '{"token":"attacker"}').replaceAll('\r', '')],
  [mixed, typed('', '{"token":"attacker"}')],
  [mixed, typed(form, 'token=attacker')],
  [mixed, innerRequest('Authorization: Bearer attacker\r\n')],
  [mixed, innerRequest('X_Api_Key: attacker\r\n').replaceAll('\r', '')],
  [mixed, innerRequest('Cookie: sid=attacker\r\n')],
  [mixed, innerRequest('', '?access_token=attacker')],
  [mixed, innerRequest('Content-Type: application/json\r\n', '', '{"token":"attacker"}')],
  ['multipart/related; boundary="b"; type="application/json"', typed(json, '{"token":"attacker"}')],
  ['application/http', 'GET /?key=attacker HTTP/1.1\r\n\r\n'],
]

const codings: readonly (readonly [coding: string, encode: (bytes: Buffer) => Buffer])[] = [
  ['gzip', (bytes) => zlib.gzipSync(bytes)],
  ['x-gzip', (bytes) => zlib.gzipSync(bytes)],
  ['gzip', (bytes) => Buffer.concat([...bytes].map((byte) => zlib.gzipSync(Buffer.from([byte]))))],
  ['deflate', (bytes) => zlib.deflateSync(bytes)],
  ['Deflate', (bytes) => zlib.deflateRawSync(bytes)],
  ['br', (bytes) => zlib.brotliCompressSync(bytes)],
  ['zstd', (bytes) => zlib.zstdCompressSync(bytes)],
]

const unreadable: readonly (readonly [type: string, body: string, lines?: string])[] = [
  [json, '{"a":1,}'],
  [json, "{'api_key':'attacker'}"],
  [json, '{"a":1}{"api_key":"attacker"}'],
  [json, '{"a":"\xff"}'],
  [json, '\xef\xbb\xbf{"api_key":"attacker"}'],
  [json, `${'['.repeat(200)}${']'.repeat(200)}`],
  [json, '{"a":1}', 'Content-Encoding: gzip\r\n'],
  [json, '{"a":1}', 'Content-Type: application/octet-stream\r\n'],
  [json, JSON.stringify({ a: 'x'.repeat(4096) })],
  [json, coded(zlib.gzipSync, '{}'), 'Content-Encoding: gzip, gzip\r\n'],
  [json, coded(zlib.gzipSync, '{}'), 'Content-Encoding: dcb\r\n'],
  [json, coded(zlib.gzipSync, '{}'), 'Content-Encoding: br\r\n'],
  [json, coded(zlib.gzipSync, '{}').slice(0, -1), 'Content-Encoding: gzip\r\n'],
  [json, `${coded(zlib.deflateSync, '{}')}x`, 'Content-Encoding: deflate\r\n'],
  [json, coded(zlib.gzipSync, '{"a":1,}'), 'Content-Encoding: gzip\r\n'],
  [json, coded(zlib.gzipSync, JSON.stringify({ a: 'x'.repeat(100_000) })), 'Content-Encoding: gzip\r\n'],
  [json, coded(zlib.brotliCompressSync, ' '.repeat(4097)), 'Content-Encoding: br\r\n'],
  [mixed, `preamble\r\n${typed(json, '{}')}`],
  [mixed, typed(json, '{')],
  [mixed, typed(json, '{}').replace('\r\n\r\n', '\r\nContent-Encoding: gzip\r\n\r\n')],
  [mixed, typed(json, 'e30=').replace('\r\n\r\n', '\r\nContent-Transfer-Encoding: base64\r\n\r\n')],
  [mixed, typed(json, '{}').replace('\r\n\r\n', '\r\nContent-Type: image/png\r\n\r\n')],
  [mixed, typed('application/http', 'HTTP/1.1 200 OK\r\n\r\n')],
  [mixed, innerRequest(' folded\r\n')],
  ['multipart/mixed; boundary=n6', nested(5, typed(json, '{}', 'n1'))],
  ['multipart/form-data', `${part('a', 'b')}--b--\r\n`],
  ['multipart/form-data; boundary=b; boundary=c', `${part('a', 'b')}--b--\r\n`],
  [multipart, `preamble\r\n${part('a', 'b')}--b--\r\n`],
  [multipart, part('a', 'b')],
  [multipart, `${part('a', 'b')}--b--\r\n${part('api_key', 'attacker')}--b--\r\n`],
  [multipart, `--b\nContent-Disposition: form-data; name=api_key\n\nattacker\n--b--\n`],
  [multipart, `${part('a', `b --b`)}--b--\r\n`],
]

const harmless: readonly (readonly [type: string, body: string])[] = [
  [json, '{"model":"m","max_tokens":9,"token":null,"password":"","key":"k","metadata":{"api_key":"quoted"}}'],
  [json, '"token"'],
  [form, 'key=value&page_token=x&token='],
  [multipart, `${part('key', 'v')}${part('file', 'token=\r\nx')}--b--\r\n`],
  ['application/octet-stream', '{"api_key":"data"}'],
  [mixed, `${part('a', 'b')}--b--\r\n`],
  [mixed, typed('image/png', '{"api_key":"data"}')],
  [mixed, innerRequest('Content-Type: application/json\r\nX-A: b\r\n', '?alt=json', '{"a":1}')],
  [mixed, innerRequest('').replaceAll('\r', '')],
  [multipart, typed(json, '{"token":"in a file"}')],
  ['multipart/mixed; boundary=n4', nested(3, typed(json, '{}', 'n1'))],
  ['application/x-ndjson', '{"a":1}\n{"a":2}\n'],
]

export const bodies: readonly HostileCase[] = [
  ...variants('SEC-26b', keysInBodies, ([type, body]) => ({
    what: `a key of the client's in a body of ${type}: ${body.slice(0, 40)}`,
    ...tunnel,
    host: 'pinned.test',
    send: post(type, body),
    expect: refused(403, 'foreign_credential'),
  })),
  ...variants('SEC-26e', keysInBodies.slice(0, 2), ([type, body]) => ({
    what: `a key of the client's where the rule says foreignCredentials: deny: ${body}`,
    host: 'clean.test',
    send: post(type, body),
    expect: refused(403, 'foreign_credential'),
  })),
  {
    id: 'SEC-26f',
    what: 'a key that comes in chunks',
    host: 'clean.test',
    send: chunked(json, ['{"api_', 'key":', '"attacker"}']),
    expect: refused(403, 'foreign_credential'),
  },
  ...variants('SEC-26c', codings, ([coding, encode]) => ({
    what: `a key in a body that is coded as ${coding}`,
    ...tunnel,
    host: 'pinned.test',
    send: post(json, coded(encode, '{"a":[],"api_key":"attacker"}'), `Content-Encoding: ${coding}\r\n`),
    expect: refused(403, 'foreign_credential'),
  })),
  ...variants('SEC-26d', codings, ([coding, encode]) => ({
    what: `a body that is coded as ${coding} goes on as it came, where nothing is wrong with it`,
    host: 'clean.test',
    send: post(json, coded(encode, '{"a":[1,2]}'), `Content-Encoding: ${coding}\r\n`),
    expect: passed((seen) => {
      arrives(coded(encode, '{"a":[1,2]}'))(seen)
      expect(seen.requests[0] === undefined ? [] : valuesOf(seen.requests[0], 'content-encoding')).toEqual([coding])
    }),
  })),
  ...variants('SEC-26u', unreadable, ([type, body, lines]) => ({
    what: `a body that cannot be read: ${type} ${lines ?? ''}${body.slice(0, 40)}`,
    host: 'clean.test',
    send: post(type, body, lines),
    expect: refused(403, 'body_unreadable', 'any'),
  })),
  {
    id: 'SEC-26v',
    what: 'chunks beyond what is held',
    host: 'clean.test',
    send: chunked(json, ['"', ...Array<string>(10).fill('x'.repeat(500)), '"']),
    expect: refused(403, 'body_unreadable', 'any'),
  },
  {
    id: 'SEC-26x',
    what: 'a body that does not come',
    host: 'clean.test',
    send: (spot) => head(spot, `Content-Type: ${json}\r\nContent-Length: 10\r\n`),
    expect: refused(403, 'body_unreadable', 'any'),
  },
  ...variants('SEC-26h', harmless, ([type, body]) => ({
    what: `is harmless, and arrives as it was sent: ${type} ${body.slice(0, 40)}`,
    host: 'clean.test',
    send: post(type, body),
    expect: passed(arrives(body)),
  })),
  {
    id: 'SEC-26i',
    what: 'chunks that were judged arrive whole, with the credential',
    ...tunnel,
    host: 'pinned.test',
    send: chunked(json, ['{"a":', '"b"', '}']),
    expect: passed((seen) => {
      arrives('{"a":"b"}')(seen)
      expect(seen.requests[0] === undefined ? [] : valuesOf(seen.requests[0], 'x-api-key')).toEqual([canary])
    }),
  },
  {
    id: 'SEC-26j',
    what: 'a client that waits to be asked for its body is asked, and then judged',
    host: 'clean.test',
    send: post(json, '{"token":"attacker"}', 'Expect: 100-continue\r\n'),
    expect: refused(403, 'foreign_credential'),
  },
  ...variants('SEC-26k', ['unread.test', 'strip.test'], (host) => ({
    what: `bodies are not read at ${host}`,
    ...tunnel,
    host,
    send: post(json, '{"token":"theirs"'),
    expect: passed(arrives('{"token":"theirs"')),
  })),

  ...variants(
    'EXF-02b',
    [
      '{"tools":[{"type":"mcp"}]}',
      '{"tools":[{"type":"function"},{"type":"web_search_preview"}]}',
      '{"tools":[{"type":"mcp"}],"tools":[]}',
      '{"tools":[],"tools":[{"type":"mcp"}]}',
      '{"Tools":[{"TYPE":" MCP "}]}',
      '{"tool\\u0073":[{"type":"m\\u0063p"}]}',
      '{"tool\xc5\xbf":[{"type":"mcp"}]}',
      '[{"tools":[{"type":"mcp"}]}]',
      '{"input":[{"content":[{"type":"input_image","image_url":"https://evil.test/?secret"}]}]}',
      '{"image_url":"HTTPS://evil.test/"}',
      '{"image_url":"//evil.test/"}',
    ],
    (body) => ({
      what: `a request that has the server act for the agent: ${body.slice(0, 60)}`,
      host: 'judged.test',
      send: post(json, body),
      expect: refused(403, 'denied_by_rule'),
    }),
  ),
  ...variants('EXF-02c', ['', 'application/octet-stream', form], (type) => ({
    what: `whatever the body is called: ${type}`,
    host: 'judged.test',
    send: post(type, '{"tools":[{"type":"mcp"}]}'),
    expect: refused(403, 'denied_by_rule'),
  })),
  ...variants('EXF-02d', ['{"tools":[{"type":"mcp"}]', "{tools:[{type:'mcp'}]}", 'tools=mcp', '\x00'], (body) => ({
    what: `what cannot be read is not let through where a deny looks at bodies: ${JSON.stringify(body)}`,
    host: 'judged.test',
    send: post(json, body),
    expect: refused(403, 'body_unreadable'),
  })),
  ...variants('EXF-02i', codings, ([coding, encode]) => ({
    what: `however it is coded: ${coding}`,
    host: 'judged.test',
    send: post(json, coded(encode, '{"tools":[{"type":"mcp"}]}'), `Content-Encoding: ${coding}\r\n`),
    expect: refused(403, 'denied_by_rule'),
  })),
  {
    id: 'EXF-02e',
    what: 'nor what is not in the coding that it names',
    host: 'judged.test',
    send: post(json, '{}', 'Content-Encoding: br\r\n'),
    expect: refused(403, 'body_unreadable'),
  },
  {
    id: 'EXF-02w',
    what: 'nor a WebSocket, whose messages nobody reads',
    host: 'judged.test',
    send: (spot) =>
      `GET ${spot.target('/')} HTTP/1.1\r\n${spot.lines}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
    expect: refused(403, 'body_unreadable'),
  },
  ...variants(
    'EXF-02f',
    [
      'X-Amz-Copy-Source: /b/k\r\nX-B: On\r\n',
      'x_amz_copy_source: \r\nx-b: off, on\r\n',
      'Anthropic-Beta: a, MCP-client\r\n',
    ],
    (lines) => ({
      what: `fields that have the server act: ${JSON.stringify(lines)}`,
      host: 'judged.test',
      send: post(json, '{}', lines),
      expect: refused(403, 'denied_by_rule'),
    }),
  ),
  ...variants(
    'EXF-02g',
    [
      '{"tools":[{"type":"function"}],"input":"use the mcp tool"}',
      '{"image_url":"data:image/png;base64,AA=="}',
      '{"mcp":{"tools":"type"}}',
    ],
    (body) => ({
      what: `what does not is let through as it is: ${body}`,
      host: 'judged.test',
      send: post(json, body, 'X-B: on\r\nAnthropic-Beta: other\r\n'),
      expect: passed(arrives(body)),
    }),
  ),
  {
    id: 'EXF-02h',
    what: 'a request without a body has nothing to judge',
    host: 'judged.test',
    send: post('', ''),
    expect: passed(),
  },

  ...variants(
    'EXF-02m',
    [
      '{"model":"large","variables":{"owner":"acme"}}',
      '{"model":"small-1"}',
      '{"model":"small-1","Model":"large","variables":{"owner":"acme"}}',
      '{"model":"small-1","model":"large","variables":{"owner":"acme"}}',
      '{"MODEL":"small-1","variables":{"owner":"acme"}}',
      '{"model":{"a":"small-1"},"variables":{"owner":"acme"}}',
      '[{"model":"small-1","variables":{"owner":"acme"}}]',
    ],
    (body) => ({
      what: `an allow wants its fields as written, and no other spelling of them: ${body}`,
      host: 'wanted.test',
      send: post(json, body),
      expect: refused(403, 'body_not_allowed'),
    }),
  ),
  {
    id: 'EXF-02n',
    what: 'an allow that names what the body must say',
    host: 'wanted.test',
    send: post(json, '{"model":"small-1","variables":{"owner":"acme","name":"x"}}'),
    expect: passed(arrives('{"model":"small-1","variables":{"owner":"acme","name":"x"}}')),
  },
  {
    id: 'EXF-02o',
    what: 'and without a body it holds for nothing',
    host: 'wanted.test',
    send: post('', ''),
    expect: refused(403, 'body_not_allowed'),
  },
  ...variants(
    'EXF-02p',
    ['', 'X-Tenant: other\r\n', 'X-Tenant: acme\r\nX_Tenant: other\r\n', 'X-Tenant: acme, other\r\n'],
    (lines) => ({
      what: `an allow that names a field wants it once, as written: ${JSON.stringify(lines)}`,
      host: 'asked.test',
      send: post('', '', lines),
      expect: refused(403, 'path_not_allowed'),
    }),
  ),

  ...variants(
    'EXF-02t',
    [
      '',
      'X-Org: evil\r\n',
      'x_org: evil\r\nX-ORG: evil\r\nX.Tenant.Policy: evil\r\nX-Project: evil\r\nHTTP_X_ORG: evil\r\n',
    ],
    (lines) => ({
      what: `fields that the rules set are ours, once, whatever the client sent: ${JSON.stringify(lines)}`,
      host: 'tenant.test',
      send: post('', '', lines),
      expect: passed(({ requests: [sent] }) => {
        if (sent === undefined) return expect.fail()
        expect(valuesOf(sent, 'x-org')).toEqual(['acme'])
        expect(valuesOf(sent, 'x-tenant-policy')).toEqual(['acme:policy'])
        expect(sent.fields.flat().join(' ')).not.toMatch(/evil|project/i)
      }),
    }),
  ),
  {
    id: 'EXF-02u',
    what: 'two rules that set a field to two values',
    host: 'torn.test',
    send: post('', ''),
    expect: refused(403, 'denied_by_rule'),
  },
]
