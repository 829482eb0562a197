/** FRM: one request in, at most one well-framed request out, or a refusal (RFC 9112 §6, §7; RFC 9110 §8.6). */

import { expect } from 'vitest'
import { asHttp, brokenOff, type HostileCase, malformed, passed, refused, request, shown, variants } from './case.ts'

const chunked = 'Transfer-Encoding: chunked\r\n'
const hello = '5\r\nhello\r\n0\r\n\r\n'
/** A request that must never be seen: it stands where a body ends for one parser and not for another. */
const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: good.test\r\n\r\n'

const codings = [
  'xchunked',
  'chunked, gzip',
  'gzip, chunked',
  'chunked, chunked',
  'chunked;a=b',
  'identity',
  '"chunked"',
  ', chunked',
  'chunked,',
  '',
  'cow chunked',
  'chunked cow',
  'chunked\x0b',
  '\x0bchunked',
  'chunked\x00',
  "chunked'",
  'gzip',
  'chunke',
] // prettier-ignore

const lengths = [
  '+5',
  '-1',
  '0x5',
  '5 0',
  '',
  '005',
  '1_0',
  '5;',
  '5,',
  ',5',
  '5, 5',
  '5.0',
  '5e0',
  '\x0b5',
  '5\x00',
  '18446744073709551621',
  '9'.repeat(400),
  '00',
  'five',
] // prettier-ignore

const chunkSizes = ['0x5', '+5', '5 ', ' 5', '1_0', '-1', 'FFFFFFFFFFFFFFFF5', '10000000000000005', 'g', '', '5\t'] // prettier-ignore

/** Bytes around the name, the colon and the value; each would make some parser see the field and another not. */
const noiseBytes = [...range(0x01, 0x20), 0x7f, ...range(0x80, 0xff)].filter((byte) => byte !== 0x09 && byte !== 0x20)

export const framing: readonly HostileCase[] = [
  ...variants(
    'FRM-01',
    [`Content-Length: 4\r\n${chunked}`, `${chunked}Content-Length: 4\r\n`, `Content-Length: 0\r\n${chunked}`],
    (lines) => ({
      what: `Content-Length beside Transfer-Encoding (${shown(lines)})`,
      send: request('POST', lines, `${hello}${smuggled}`),
      expect: malformed,
    }),
  ),
  ...variants(
    'FRM-02',
    [
      ['5', '6'],
      ['5', '5'],
      ['0', '5'],
      ['5', '0'],
    ],
    (values) => ({
      what: `two Content-Length (${values.join(' and ')})`,
      send: request('POST', values.map((value) => `Content-Length: ${value}\r\n`).join(''), `hello!${smuggled}`),
      expect: malformed,
    }),
  ),
  {
    id: 'FRM-02e',
    what: 'two Content-Length in different case',
    send: request('POST', 'Content-Length: 5\r\ncontent-length: 5\r\n', 'hello'),
    expect: malformed,
  },
  ...variants('FRM-03', lengths, (value) => ({
    what: `Content-Length: ${shown(value)}`,
    send: request('POST', `Content-Length: ${value}\r\n`, 'hello'),
    expect: malformed,
  })),
  ...variants('FRM-04', codings, (value) => ({
    what: `Transfer-Encoding: ${shown(value)}`,
    send: request('POST', `Transfer-Encoding: ${value}\r\n`, hello),
    expect: malformed,
  })),
  ...variants(
    'FRM-04x',
    [
      ['identity', 'chunked'],
      ['chunked', 'identity'],
      ['chunked', 'chunked'],
      ['gzip', 'chunked'],
    ],
    (values) => ({
      what: `two Transfer-Encoding (${values.join(' and ')})`,
      send: request('POST', values.map((value) => `Transfer-Encoding: ${value}\r\n`).join(''), hello),
      expect: malformed,
    }),
  ),
  {
    id: 'FRM-04y',
    what: 'CHUNKED in capitals is chunked, and framed anew',
    send: request('POST', 'Transfer-Encoding: CHUNKED\r\n', hello),
    expect: passed(({ requests }) => expect(requests[0]?.body.toString()).toBe('hello')),
  },
  ...variants('FRM-05n', noiseBytes, (byte) => ({
    places: asHttp,
    what: `byte ${byte.toString(16)} in the name Transfer-Encoding`,
    send: request('POST', `Transfer-Encoding${String.fromCharCode(byte)}: chunked\r\n`, hello),
    expect: malformed,
  })),
  ...variants('FRM-05b', noiseBytes, (byte) => ({
    places: asHttp,
    what: `byte ${byte.toString(16)} before the name Transfer-Encoding`,
    send: request('POST', `${String.fromCharCode(byte)}Transfer-Encoding: chunked\r\n`, hello),
    expect: malformed,
  })),
  ...variants('FRM-05v', noiseBytes, (byte) => ({
    places: asHttp,
    what: `byte ${byte.toString(16)} before the value chunked`,
    send: request('POST', `Transfer-Encoding: ${String.fromCharCode(byte)}chunked\r\n`, hello),
    expect: malformed,
  })),
  ...variants('FRM-05e', noiseBytes, (byte) => ({
    places: asHttp,
    what: `byte ${byte.toString(16)} after the value chunked`,
    send: request('POST', `Transfer-Encoding: chunked${String.fromCharCode(byte)}\r\n`, hello),
    expect: malformed,
  })),
  {
    id: 'FRM-07a',
    what: 'chunked in HTTP/1.0',
    send: (spot) => `POST ${spot.target('/')} HTTP/1.0\r\n${spot.lines}${chunked}\r\n${hello}`,
    expect: malformed,
  },
  ...variants(
    'FRM-08',
    [
      'Transfer-Encoding:\r\n chunked\r\n',
      'X-A: a\r\n\tb\r\n',
      'X-A: a\r\n Content-Length: 5\r\n',
      'Content-Length:\r\n 5\r\n',
    ],
    (lines) => ({ what: `a folded field (${shown(lines)})`, send: request('POST', lines, hello), expect: malformed }),
  ),
  ...variants(
    'FRM-09',
    [
      (t: string, l: string) => `GET ${t} HTTP/1.1\n${l}\r\n`,
      (t: string, l: string) => `GET ${t} HTTP/1.1\r\n${l.replaceAll('\r\n', '\n')}\r\n`,
      (t: string, l: string) => `GET ${t} HTTP/1.1\r\n${l}X-A: a\n\r\n`,
      (t: string, l: string) => `GET ${t} HTTP/1.1\r\n${l}X-A: a\nContent-Length: 5\r\n\r\nhello`,
      (t: string, l: string) => `GET ${t} HTTP/1.1\r\n${l}X-A: a\rContent-Length: 5\r\n\r\nhello`,
      (t: string, l: string) => `GET ${t} HTTP/1.1\r\n${l}X-A: a\r\r\n\r\n`,
      (t: string, l: string) => `GET ${t} HTTP/1.1\r\r\n${l}\r\n`,
      (t: string, l: string) => `GET ${t}\r HTTP/1.1\r\n${l}\r\n`,
      (t: string, l: string) => `GET ${t} HTTP/1.1\r${l}\r\n`,
    ],
    (make) => ({
      what: `a bare line end (${shown(make('/', 'Host: h\r\n'))})`,
      send: (spot) => make(spot.target('/'), spot.lines),
      expect: malformed,
    }),
  ),
  ...variants(
    'FRM-10',
    [
      'Host : good.test\r\n',
      ' Content-Length: 5\r\n',
      ': empty\r\n',
      'no colon\r\n',
      'X\tA: b\r\n',
      'X-A: a\0b\r\n',
      'Content-Length : 5\r\n',
      'Transfer-Encoding : chunked\r\n',
      'X A: b\r\n',
      'X-A\r\n',
      '\tX-A: b\r\n',
      'X-A(: b\r\n',
      'X-A: \x7f\r\n',
      'X-A: \x01\r\n',
    ],
    (lines) => ({
      what: `a line that is no field (${shown(lines)})`,
      send: request('POST', lines, hello),
      expect: malformed,
    }),
  ),
  {
    id: 'FRM-10o',
    what: 'a space before the first field line',
    send: (spot) => `POST ${spot.target('/')} HTTP/1.1\r\n Content-Length: 5\r\n${spot.lines}\r\nhello`,
    expect: malformed,
  },
  ...variants('FRM-11', chunkSizes, (size) => ({
    what: `a chunk of size "${shown(size)}"`,
    send: request('POST', chunked, `${size}\r\nhello\r\n0\r\n\r\n`),
    expect: brokenOff,
  })),
  ...variants(
    'FRM-12',
    [
      '5;a\n',
      '5;a\rX\r\n',
      '5;a\0\r\n',
      '5;"\r\n',
      '5;a="b\r\n',
      `5;${'a'.repeat(17 * 1024)}\r\n`,
      '5 ;a\r\n',
      '5;\x01\r\n',
    ],
    (line) => ({
      what: `a chunk extension no parser should take (${shown(line)})`,
      send: request('POST', chunked, `${line}hello\r\n0\r\n\r\n`),
      expect: brokenOff,
    }),
  ),
  ...variants('FRM-12x', ['5;a=b', '5;a', '5;a="b"'], (line) => ({
    what: `a chunk extension is not forwarded (${shown(line)})`,
    send: request('POST', chunked, `${line}\r\nhello\r\n0\r\n\r\n`),
    expect: passed(({ requests }) => expect(requests[0]?.body.toString()).toBe('hello')),
  })),
  {
    id: 'FRM-12y',
    what: 'four hundred chunks with an extension of sixty bytes each: none is forwarded',
    send: request('POST', chunked, `${`1;${'x'.repeat(60)}\r\na\r\n`.repeat(400)}0\r\n\r\n`),
    expect: passed(({ requests }) => expect(requests[0]?.body.toString()).toBe('a'.repeat(400))),
  },
  ...variants(
    'FRM-12z',
    [
      `${`1;${'x'.repeat(63)}\r\na\r\n`.repeat(1025)}0\r\n\r\n`,
      `0\r\n${`X-A: ${'x'.repeat(4000)}\r\n`.repeat(17)}\r\n`,
      `${`1;${'x'.repeat(63)}\r\na\r\n`.repeat(600)}0\r\n${`X-A: ${'x'.repeat(2000)}\r\n`.repeat(14)}\r\n`,
    ],
    (body) => ({
      what: `more than 64 KiB of extensions and trailers together, none of them long (${shown(body)})`,
      send: request('POST', chunked, body),
      expect: brokenOff,
    }),
  ),
  ...variants(
    'FRM-13',
    [
      '5\r\nhello0\r\n\r\n',
      '5\r\nhello\n0\r\n\r\n',
      '5\r\nhello!!\r\n0\r\n\r\n',
      '5\r\nhello\r0\r\n\r\n',
      '5\nhello\r\n0\r\n\r\n',
    ],
    (body) => ({
      what: `a chunk without its end (${shown(body)})`,
      send: request('POST', chunked, body),
      expect: brokenOff,
    }),
  ),
  {
    id: 'FRM-13x',
    what: 'the last chunk is missing and the client closes',
    send: request('POST', chunked, '5\r\nhello\r\n'),
    ending: 'fin',
    expect: brokenOff,
  },
  ...variants(
    'FRM-15',
    ['content-length', 'transfer-encoding', 'host', 'Content-Length, close', 'close,transfer-encoding', 'expect'],
    (token) => ({
      what: `Connection: ${token}`,
      send: request('POST', `Connection: ${token}\r\nContent-Length: 5\r\n`, 'hello'),
      expect: malformed,
    }),
  ),
  {
    id: 'FRM-15x',
    what: 'Connection: content-length on a GET hides a second request',
    send: request('GET', `Connection: content-length\r\nContent-Length: ${smuggled.length}\r\n`, smuggled),
    expect: malformed,
  },
  ...variants(
    'FRM-17',
    ['Authorization: x\r\n', 'Host: evil.test\r\n', 'X-Http-Method-Override: DELETE\r\n'],
    (trailer) => ({
      what: `a trailer is dropped (${shown(trailer)})`,
      send: request('POST', chunked, `5\r\nhello\r\n0\r\n${trailer}\r\n`),
      expect: {
        statuses: [[200, 400]],
        after: 'any',
        records: ['allow'],
        requests: 1,
        check: ({ requests }) => {
          expect(requests[0]?.body.toString()).toBe('hello')
          expect(requests[0]?.fields.map(([name]) => name)).not.toContain('authorization')
        },
      },
    }),
  ),
  ...variants('FRM-17w', ['Content-Length: 9\r\n', 'Transfer-Encoding: chunked\r\n', 'X-A\r\n'], (trailer) => ({
    what: `a trailer that frames, or is none, is refused (${shown(trailer)})`,
    send: request('POST', chunked, `5\r\nhello\r\n0\r\n${trailer}\r\n`),
    expect: brokenOff,
  })),
  {
    id: 'FRM-17x',
    what: 'a megabyte of trailers',
    send: request('POST', chunked, `5\r\nhello\r\n0\r\n${`X-T: ${'t'.repeat(1000)}\r\n`.repeat(1000)}\r\n`),
    expect: brokenOff,
  },
  {
    id: 'FRM-18a',
    what: 'Expect: 100-continue is answered once, by us, after the decision',
    send: request('POST', 'Expect: 100-continue\r\nContent-Length: 5\r\n', 'hello'),
    expect: passed(({ requests, responses }) => {
      expect(responses[0]?.informational).toEqual([100])
      expect(requests[0]?.body.toString()).toBe('hello')
    }),
  },
  {
    id: 'FRM-18o',
    what: 'Expect in HTTP/1.0 means nothing',
    send: (spot) =>
      `POST ${spot.target('/')} HTTP/1.0\r\n${spot.lines}Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello`,
    expect: {
      ...passed(({ requests, responses }) => {
        expect(responses[0]?.informational).toEqual([])
        expect(requests[0]?.body.toString()).toBe('hello')
      }),
      after: 'closed',
    },
  },
  ...variants('FRM-18x', ['200-maybe', '100-continue, x', '', '100-continue-please'], (value) => ({
    what: `Expect: ${value}`,
    send: request('POST', `Expect: ${value}\r\nContent-Length: 5\r\n`, 'hello'),
    expect: malformed,
  })),
  {
    id: 'FRM-18y',
    what: 'two Expect fields',
    send: request('POST', 'expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 5\r\n', 'hello'),
    expect: malformed,
  },
  {
    id: 'FRM-18z',
    what: 'Expect with an empty body',
    send: request('POST', 'Expect: 100-continue\r\nContent-Length: 0\r\n'),
    expect: passed(),
  },
  {
    id: 'FRM-19a',
    places: asHttp,
    what: 'nothing behind a bad head is read',
    send: (spot) => `BAD\r\n\r\nGET ${spot.target('/')} HTTP/1.1\r\n${spot.lines}\r\n`,
    expect: malformed,
  },
  {
    id: 'FRM-19b',
    what: 'good, ambiguous, good in one packet: the first is answered, the last is not read',
    send: (spot) => {
      const good = `GET ${spot.target('/')} HTTP/1.1\r\n${spot.lines}\r\n`
      const bad = `GET ${spot.target('/bad')} HTTP/1.1\r\n${spot.lines}Host: good.test\r\n\r\n`
      return good + bad + good
    },
    expect: {
      statuses: [200, 400],
      after: 'closed',
      records: ['allow', 'deny malformed_request'],
      requests: 1,
    },
  },
  ...variants('FRM-19d', ['BAD\r\n\r\n', 'GET / HTTP/1.1\r\nX-A\r\n\r\n', '\0'], (junk) => ({
    what: `what follows an honest request does not make its record a lie (${shown(junk)})`,
    send: (spot) => `GET ${spot.target('/')} HTTP/1.1\r\n${spot.lines}\r\n${junk}`,
    expect: { statuses: [200, 400], after: 'closed', records: ['allow', 'deny malformed_request'], requests: 1 },
  })),
  {
    id: 'FRM-19f',
    what: 'however many pipelined requests: each waits for the one before it, and all are answered',
    send: (spot) =>
      Array.from({ length: 300 }, (_, n) => `GET ${spot.target(`/${n}`)} HTTP/1.1\r\n${spot.lines}\r\n`).join(''),
    expect: passed(({ requests }) => {
      const numbers = requests.map(({ target }) => Number(target.slice(1)))
      expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 300 }, (_, n) => n))
    }, 300),
  },
  {
    id: 'FRM-19c',
    what: 'two honest requests in one packet are answered in order',
    send: (spot) => [1, 2].map((n) => `GET ${spot.target(`/${n}`)} HTTP/1.1\r\n${spot.lines}\r\n`).join(''),
    expect: passed(({ requests }) => expect(requests.map(({ target }) => target)).toEqual(['/1', '/2']), 2),
  },
  {
    id: 'FRM-19h',
    what: 'nothing behind a head that names another host is read',
    send: (spot) =>
      `GET ${spot.target('/')} HTTP/1.1\r\n${spot.lines.replace('good.test', 'evil.test')}\r\n` +
      `GET ${spot.target('/')} HTTP/1.1\r\n${spot.lines}\r\n`,
    expect: {
      ...refused(421, 'authority_mismatch', 'closed'),
      check: ({ responses }) => expect(responses[0]?.fields).toContainEqual(['connection', 'close']),
    },
  },
  ...variants('FRM-19g', ['', 'Content-Length: 5\r\n'], (lines) => ({
    places: ['proxy'],
    what: `a CONNECT behind a request that waits for its answer opens nothing (${shown(lines)})`,
    send: (spot) =>
      `POST ${spot.target('/')} HTTP/1.1\r\n${spot.lines}${lines}\r\n${lines === '' ? '' : 'hello'}` +
      `CONNECT ${spot.authority} HTTP/1.1\r\n${spot.lines}\r\n`,
    expect: { statuses: [200, 400], after: 'closed', records: ['allow', 'deny malformed_request'], requests: 1 },
  })),
  ...variants(
    'FRM-20',
    [
      'HTTP/1.2',
      'HTTP/2.0',
      'HTTP/0.9',
      'http/1.1',
      'ICE/1.0',
      'HTTP/01.1',
      'HTTP/1.10',
      'HTTP/11',
      'HTTP/1,1',
      'HTTP/3.0',
      'RTSP/1.0',
      'RTSP/1.1',
    ],
    (version) => ({
      what: `version ${version}`,
      send: (spot) => `GET ${spot.target('/')} ${version}\r\n${spot.lines}\r\n`,
      expect: malformed,
    }),
  ),
  {
    id: 'FRM-20x',
    what: 'HTTP/0.9: a request line that ends without a version',
    send: (spot) => `GET ${spot.target('/')}\r\n`,
    expect: malformed,
  },
  ...variants(
    'FRM-21',
    [
      'SOURCE',
      'FROB',
      'PURGE',
      'M-SEARCH',
      'TRACE',
      'get',
      'Get',
      'A'.repeat(10_000),
      'BREW',
      'LINK',
      'CONNECTX',
      'G\x00T',
      'WEBSOCKET',
    ],
    (method) => ({
      places: asHttp,
      what: `method ${shown(method)}`,
      send: request(method),
      expect: malformed,
    }),
  ),
  ...variants(
    'FRM-23',
    ['/\x80', '/\xff', '/a#frag', '/a b', '/\x7f', '/\t', '/a\x01', `/${'p'.repeat(40_000)}`],
    (path) => ({ what: `target ${shown(path)}`, send: request('GET', '', '', path), expect: malformed }),
  ),
  ...variants(
    'FRM-23x',
    [
      '/%00',
      '/%0d%0a',
      '/a\\b',
      '//',
      '//a',
      '/a;b=c',
      '/%2e%2e/',
      '/..',
      '/%2F',
      '/a?b#'.replace('#', ''),
      `/${'p'.repeat(8200)}`,
      '/%zz',
      '/?q=a//b\\c',
    ],
    (path) => ({
      what: `target ${shown(path)} goes out as it was spelled where no rule looks at paths`,
      send: request('GET', '', '', path),
      expect: passed(({ requests }) => expect(requests[0]?.target).toBe(path)),
    }),
  ),
  {
    id: 'FRM-26a',
    what: 'the client closes half-way through its body',
    send: request('POST', 'Content-Length: 10\r\n', 'hello'),
    ending: 'fin',
    expect: brokenOff,
  },
  {
    id: 'FRM-26b',
    what: 'the client resets half-way through its body',
    send: request('POST', 'Content-Length: 10\r\n', 'hello'),
    ending: 'reset',
    expect: { statuses: [], after: 'any', records: ['abandoned'], requests: 0, broken: true },
  },
  ...variants(
    'FRM-28',
    [
      ['1.1', 'Connection: close\r\n'],
      ['1.1', 'Connection: keep-alive, close\r\n'],
      ['1.1', 'Proxy-Connection: close\r\n'],
      ['1.0', ''],
      ['1.0', 'Connection: x\r\n'],
    ] as const,
    ([version, lines]) => ({
      what: `nothing behind a last request is read (HTTP/${version}, ${shown(lines)})`,
      send: (spot) => {
        const first = `GET ${spot.target('/')} HTTP/${version}\r\n${spot.lines}${lines}\r\n`
        return `${first}GET ${spot.target('/smuggled')} HTTP/1.1\r\n${spot.lines}\r\n`
      },
      expect: {
        ...passed(({ responses }) => expect(responses[0]?.fields).toContainEqual(['connection', 'close'])),
        after: 'closed',
      },
    }),
  ),
  {
    id: 'FRM-27a',
    what: 'a chunked upload without a length arrives whole',
    send: (spot) => [
      `POST ${spot.target('/up')} HTTP/1.1\r\n${spot.lines}${chunked}\r\n`,
      ...Array.from({ length: 20 }, () => '5\r\nhello\r\n'),
      '0\r\n\r\n',
    ],
    expect: passed(({ requests }) => expect(requests[0]?.body.toString()).toBe('hello'.repeat(20))),
  },
  {
    id: 'FRM-27g',
    what: 'an upload with a length keeps it',
    send: (spot) => [
      `POST ${spot.target('/up')} HTTP/1.1\r\n${spot.lines}Content-Length: 200000\r\n\r\n`,
      ...Array.from({ length: 100 }, () => 'x'.repeat(2000)),
    ],
    expect: passed(({ requests }) => {
      expect(requests[0]?.body).toHaveLength(200_000)
      expect(requests[0]?.framing).toBe('length')
    }),
  },
  {
    id: 'FRM-27b',
    what: 'a head in single bytes',
    send: (spot) => `POST ${spot.target('/')} HTTP/1.1\r\n${spot.lines}Content-Length: 5\r\n\r\nhello`.split(''),
    expect: passed(({ requests }) => expect(requests[0]?.body.toString()).toBe('hello')),
  },
  ...variants('FRM-27c', ['GET', 'DELETE', 'OPTIONS'], (method) => ({
    what: `${method} with a chunked body that holds a request: the body stays a body`,
    send: request(method, chunked, `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`),
    expect: passed(({ requests }) => expect(requests[0]?.body.toString()).toBe(smuggled)),
  })),
  ...variants('FRM-27d', ['GET', 'DELETE', 'OPTIONS'], (method) => ({
    what: `${method} with a length and a body that is a request: the body stays a body`,
    send: request(method, `Content-Length: ${smuggled.length}\r\n`, smuggled),
    expect: passed(({ requests }) => {
      expect(requests[0]?.body.toString()).toBe(smuggled)
      expect(requests[0]?.framing).toBe('length')
    }),
  })),
  {
    id: 'FRM-27e',
    what: 'HEAD with a chunked body that holds a request: the body stays a body',
    send: request('HEAD', chunked, `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`),
    bodiless: true,
    expect: passed(({ requests }) => expect(requests).toHaveLength(1)),
  },
  {
    id: 'FRM-27f',
    what: 'a field count at which Node hides fields it still obeys',
    send: request('GET', `${'a: b\r\n'.repeat(1100)}Content-Length: ${smuggled.length}\r\n`, smuggled),
    expect: malformed,
  },
]

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}
