import type net from 'node:net'
import { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RequestBody } from '../../../src/exchange/request-body.ts'
import { HttpReader } from '../../../src/listeners/http-reader.ts'
import type { HeadProblem, RawHead, RequestHead } from '../../../src/net/request-head.ts'
import { authorityOf } from '../exchange/fixture.ts'

type Request = { readonly raw: RawHead; readonly head: HeadProblem | RequestHead; readonly body: RequestBody }

/** A reader on a stream that stands in for a socket, and everything it said. */
class Reading {
  readonly stream = new Readable({ read: () => undefined })
  readonly said: string[] = []
  readonly requests: Request[] = []
  readonly reader: HttpReader
  /** What is done with each request, at once. */
  onRequest: (request: Request) => void = () => undefined
  takesSocks = false

  constructor(options: { readonly early?: string; readonly headBytesMax?: number } = {}) {
    this.reader = new HttpReader(
      {
        stream: this.stream as unknown as net.Socket,
        place: { kind: 'tunnel', scheme: 'https', authority: authorityOf('good.test:443') },
        early: Buffer.from(options.early ?? '', 'latin1'),
        headBytesMax: options.headBytesMax ?? 4096,
      },
      {
        onRequest: (raw, head, body) => {
          this.said.push('kind' in head ? `problem: ${head.detail}` : `${raw.method} ${raw.target}`)
          this.requests.push({ raw, head, body })
          this.onRequest({ raw, head, body })
        },
        onConnect: (raw, { behind }) => {
          this.said.push(`CONNECT ${raw.target}${behind ? ' behind' : ''}`)
          if (behind) this.reader.stop()
          else this.said.push(`unread ${JSON.stringify(this.reader.detach().toString('latin1'))}`)
        },
        onSocks: () => {
          if (!this.takesSocks) return false
          this.said.push(`SOCKS ${this.reader.detach().toString('hex')}`)
          return true
        },
        onBadHead: (detail) => this.said.push(`bad head: ${detail}`),
        onBadBody: (detail) => {
          this.said.push(`bad body: ${detail}`)
          this.reader.fail(new Error(detail))
        },
        onFault: (error) => this.said.push(`fault: ${String(error)}`),
        onDropped: () => this.said.push(`dropped, ${this.reader.unreadBytes} behind`),
        onEnd: (within) => this.said.push(`end within ${within}`),
      },
    )
    this.reader.start()
  }

  /** Each piece is a read of its own. */
  async say(...pieces: readonly string[]): Promise<void> {
    for (const piece of pieces) {
      if (piece !== '') this.stream.push(Buffer.from(piece, 'latin1'))
      await nextTurn()
    }
  }

  async next(): Promise<void> {
    this.reader.next()
    await nextTurn()
  }

  get body(): RequestBody {
    return this.requests.at(-1)?.body ?? expect.fail('no request')
  }

  get paused(): boolean {
    return this.stream.isPaused()
  }
}

const get = (path: string = '/', lines: string = ''): string =>
  `GET ${path} HTTP/1.1\r\nHost: good.test\r\n${lines}\r\n`
const post = (body: string, path: string = '/', length: number = body.length): string =>
  `POST ${path} HTTP/1.1\r\nHost: good.test\r\nContent-Length: ${length}\r\n\r\n${body}`
const chunks = (body: string, path: string = '/'): string =>
  `POST ${path} HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: chunked\r\n\r\n${body}`
const connect = 'CONNECT good.test:443 HTTP/1.1\r\n\r\n'

function streamOf(body: RequestBody): Readable {
  const opened = body.open()
  return opened instanceof Readable ? opened : expect.fail('the body was whole')
}

/** All that a body says, and how it ends. */
async function heard(body: Buffer | Readable): Promise<string> {
  if (Buffer.isBuffer(body)) return body.toString('latin1')
  const pieces: Buffer[] = []
  try {
    for await (const piece of body) pieces.push(piece as Buffer)
  } catch (error) {
    return `${Buffer.concat(pieces).toString('latin1')} ✗ ${(error as Error).message}`
  }
  return Buffer.concat(pieces).toString('latin1')
}

describe('a head', () => {
  it('is read from what came before the reader, and from what comes', async () => {
    const reading = new Reading({ early: get('/early').slice(0, 7) })
    await reading.say(get('/early').slice(7))
    expect(reading.said).toEqual(['GET /early'])
    expect(reading.reader.unreadBytes).toBe(0)
  })

  it('has a body that is complete where there is none', async () => {
    const reading = new Reading()
    await reading.say(get())
    expect(reading.body.complete).toBe(true)
    expect(reading.reader.withinBody).toBe(false)
  })

  it.each([
    [[`\r\n${get()}`], ['GET /']],
    [['\r', `\n${get()}`], ['GET /']],
    [['\r\n', get()], ['GET /']],
    [[`\r\n\r\n${get()}`], ['bad head: the request line is not "METHOD target HTTP/1.1"']],
    [[`\n${get()}`], ['bad head: the request line is not "METHOD target HTTP/1.1"']],
    [['\n'], ['bad head: what has come is no HTTP/1.1 head']],
    [[' '], []],
    [['\r\r'], ['bad head: what has come is no HTTP/1.1 head']],
    [['GET / HTTP/1.1\n'], ['bad head: what has come is no HTTP/1.1 head']],
    [['GET / HTTP/1.1', '\n'], ['bad head: what has come is no HTTP/1.1 head']],
    [['GET /\r', 'x'], ['bad head: what has come is no HTTP/1.1 head']],
    [['GET / HTTP/1.1\r', '\nHost: good.test\r', '\n\r', '\n'], ['GET /']],
    [['\x16\x03\x01'], ['bad head: what has come is no HTTP/1.1 head']],
    [['GET / HTTP/1.1\r\nHost : good.test\r\n\r\n'], ['bad head: a field line is not "name: value"']],
    [['BAD\r\n\r\n'], ['bad head: the request line is not "METHOD target HTTP/1.1"']],
    [['FROB / HTTP/1.1\r\nHost: good.test\r\n\r\n'], ['problem: method is not one this proxy forwards']],
  ])('of %j: %j', async (pieces, said) => {
    const reading = new Reading()
    await reading.say(...pieces)
    expect(reading.said).toEqual(said)
  })

  it.each(['BAD\r\n\r\n', '\0', 'FROB / HTTP/1.1\r\nHost: good.test\r\n\r\n'])(
    'that is none, %j, is the last thing that is read',
    async (bad) => {
      const reading = new Reading()
      await reading.say(`${bad}${get()}`, get())
      await reading.next()
      await reading.say(get())
      expect(reading.said).toHaveLength(1)
      expect(reading.reader.unreadBytes).toBe(0)
      if (reading.requests.length > 0) expect(reading.body.complete).toBe(false)
    },
  )

  it('is bounded, with its end or without', async () => {
    const filled = (bytes: number): string => get('/', `X: ${'x'.repeat(bytes - get('/', 'X: \r\n').length + 4)}\r\n`)
    for (const [text, said] of [
      [filled(200), 'GET /'],
      [`\r\n${filled(200)}`, 'GET /'],
      [filled(201), 'bad head: the head is too large'],
      [filled(300).slice(0, 200), undefined],
      [filled(300).slice(0, 201), 'bad head: the head is too large'],
    ] as const) {
      const reading = new Reading({ headBytesMax: 200 })
      await reading.say(text)
      expect(reading.said[0], text).toBe(said)
    }
  })
})

describe('requests', () => {
  it('wait for the answer to the one before', async () => {
    const reading = new Reading()
    await reading.say(get('/1') + get('/2') + get('/3').slice(0, 5))
    expect(reading.said).toEqual(['GET /1'])
    await reading.next()
    expect(reading.said).toEqual(['GET /1', 'GET /2'])
    await reading.next()
    await reading.say(get('/3').slice(5))
    expect(reading.said).toEqual(['GET /1', 'GET /2', 'GET /3'])
  })

  it('are found although the one before them came in pieces, and was longer', async () => {
    const reading = new Reading()
    const first = get('/1', `X: ${'x'.repeat(200)}\r\n`)
    await reading.say(first.slice(0, -2), first.slice(-2))
    await reading.next()
    await reading.say(get('/2'))
    expect(reading.said).toEqual(['GET /1', 'GET /2'])
  })

  it('that wait are bounded: the client waits then, and goes on later', async () => {
    const reading = new Reading({ headBytesMax: 200 })
    await reading.say(get('/1'))
    for (let i = 0; i < 5; i++) await reading.say('x'.repeat(50))
    expect([reading.reader.unreadBytes, reading.paused]).toEqual([250, true])
    const other = new Reading({ headBytesMax: 200 })
    await other.say(Array.from({ length: 10 }, (_, n) => get(`/${n}`)).join(''))
    expect(other.paused).toBe(true)
    for (let i = 0; i < 9; i++) await other.next()
    expect(other.said).toHaveLength(10)
    expect(other.paused).toBe(false)
  })

  it('share their fields where these are the same', async () => {
    const reading = new Reading()
    reading.onRequest = () => queueMicrotask(() => reading.reader.next())
    await reading.say(get('/1'), get('/2'))
    expect(reading.requests[1]?.raw.fields).toBe(reading.requests[0]?.raw.fields)
  })

  const oneRequest = fc.record({
    path: fc.constantFrom('/a', '/b?c=d'),
    crlf: fc.constantFrom('', '', '\r\n'),
    body: fc.oneof(
      fc.constant({ kind: 'none' as const, pieces: [] as string[] }),
      fc.record({
        kind: fc.constantFrom('length' as const, 'chunked' as const),
        pieces: fc.array(fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 30 }), { maxLength: 4 }),
      }),
    ),
    wanted: fc.boolean(),
  })

  it('are the same however their bytes are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(oneRequest, { minLength: 1, maxLength: 4 }),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 }),
        async (sent, cuts) => {
          const text = sent
            .map(({ path, crlf, body: { kind, pieces } }) => {
              if (kind === 'none') return crlf + get(path)
              if (kind === 'length') return crlf + post(pieces.join(''), path)
              const all = pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('')
              return crlf + chunks(`${all}0\r\n\r\n`, path)
            })
            .join('')
          const places = [0, ...cuts.map((cut) => Math.floor(cut * text.length)).toSorted((a, b) => a - b), text.length]
          const reading = new Reading()
          const bodies: string[] = []
          reading.onRequest = ({ body }) => {
            const wanted = sent[reading.requests.length - 1]?.wanted === true
            const done = wanted ? heard(body.complete ? Buffer.alloc(0) : body.open()) : nextTurn().then(() => '–')
            void done.then((text) => {
              bodies.push(text)
              reading.reader.next()
            })
          }
          await reading.say(...places.slice(1).map((end, index) => text.slice(places[index], end)))
          for (let i = 0; i < 20 && bodies.length < sent.length; i++) await nextTurn()
          expect(reading.requests.map(({ raw }) => raw.target)).toEqual(sent.map(({ path }) => path))
          expect(bodies).toEqual(sent.map(({ body, wanted }) => (wanted ? body.pieces.join('') : '–')))
          expect(reading.reader.unreadBytes).toBe(0)
          expect(reading.said.join()).not.toContain('bad')
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('a body', () => {
  it('is not read before somebody wants it, and the client waits', async () => {
    const reading = new Reading()
    await reading.say(post('', '/', 10), 'hello')
    expect([reading.reader.unreadBytes, reading.paused]).toEqual([5, true])
    const body = heard(streamOf(reading.body))
    await reading.say('world')
    expect(await body).toBe('helloworld')
    expect([reading.body.complete, reading.paused]).toEqual([true, false])
  })

  it('that has come whole is handed out in one piece, without a stream', async () => {
    const reading = new Reading()
    await reading.say(post('hello') + get('/2'))
    expect(reading.body.complete).toBe(false)
    expect(reading.body.open()).toEqual(Buffer.from('hello'))
    expect([reading.body.complete, reading.reader.withinBody]).toEqual([true, false])
    await reading.next()
    expect(reading.said).toEqual(['POST /', 'GET /2'])
  })

  it.each([
    ['is chunked', chunks('5\r\nhello\r\n0\r\n\r\n')],
    ['has come in part', post('hello', '/', 6)],
    ['has not come at all', post('', '/', 6)],
  ])('that %s is a stream', async (_, text) => {
    const reading = new Reading()
    await reading.say(text)
    const body = streamOf(reading.body)
    body.destroy()
  })

  it('holds the client when whoever reads it has enough, and lets it go on later', async () => {
    const reading = new Reading()
    await reading.say(post('', '/', 400_000))
    const body = streamOf(reading.body)
    body.read(0)
    const piece = 'x'.repeat(40_000)
    await reading.say(piece, piece, piece)
    expect(reading.paused).toBe(true)
    expect(reading.reader.unreadBytes).toBe(piece.length)
    let read = 0
    body.on('data', (bytes: Buffer) => (read += bytes.length))
    for (let i = 0; i < 7; i++) await reading.say(piece)
    for (let i = 0; i < 20; i++) await nextTurn()
    expect([read, reading.reader.withinBody, reading.paused]).toEqual([400_000, false, false])
  })

  it('that nobody opened is dropped after the answer, and what follows it is read', async () => {
    const reading = new Reading()
    await reading.say(post('hel', '/', 5))
    await reading.next()
    expect(reading.reader.withinBody).toBe(true)
    await reading.say(`lo${get('/2')}`)
    expect(reading.said).toEqual(['POST /', `dropped, ${get().length + 1} behind`, 'GET /2'])
  })

  it('that nobody wants any more is dropped while the request is under way', async () => {
    const reading = new Reading()
    await reading.say(chunks('5\r\nhello\r\n'))
    streamOf(reading.body).destroy()
    await reading.say('5\r\nhello\r\n', `0\r\n\r\n${get('/2')}`)
    expect(reading.said).toEqual(['POST /'])
    await reading.next()
    expect(reading.said).toEqual(['POST /', 'GET /2'])
  })

  it.each<[string, (body: RequestBody) => void]>([
    ['is given up', (body) => streamOf(body).destroy()],
    ['is read', (body) => streamOf(body).resume()],
  ])('of an earlier request that %s says nothing for that of a later one', async (_, late) => {
    const reading = new Reading()
    await reading.say(post('hel', '/1', 5))
    const earlier = reading.body
    reading.reader.next()
    await reading.say(`lo${chunks('3\r\nabc\r\n', '/2')}`)
    expect(reading.said.at(-1)).toBe('POST /2')
    late(earlier)
    await nextTurn()
    const body = heard(streamOf(reading.body))
    await reading.say('3\r\ndef\r\n0\r\n\r\n')
    expect(await body).toBe('abcdef')
  })

  it('of an earlier request is not that of a later one, though this is whole', async () => {
    const reading = new Reading()
    await reading.say(post('hello', '/1'))
    const earlier = reading.body
    await reading.next()
    await reading.say(post('world', '/2'))
    expect(earlier.open()).toBeInstanceOf(Readable)
    expect(reading.body.open()).toEqual(Buffer.from('world'))
  })

  it('that is being dropped is not handed on with a hole in it', async () => {
    const reading = new Reading()
    await reading.say(post('', '/', 200_000))
    const body = streamOf(reading.body)
    body.read(0)
    await reading.say('x'.repeat(70_000))
    await reading.next()
    await reading.say('y'.repeat(70_000))
    // Whoever read it takes what it has, and asks for more.
    expect((body.read() as Buffer).length).toBe(70_000)
    await nextTurn()
    await reading.say('z'.repeat(59_999))
    expect(body.read()).toBeNull()
    await reading.say('z')
    expect(reading.reader.withinBody).toBe(false)
  })

  it('that is not what its head said fails for whoever reads it, and nothing more is read', async () => {
    const reading = new Reading()
    await reading.say(chunks('5\r\nhello\r\n'))
    const body = heard(streamOf(reading.body))
    await reading.say('x\r\n', get('/2'))
    expect(await body).toBe('hello ✗ a chunk has no size')
    await reading.next()
    expect(reading.said).toEqual(['POST /', 'bad body: a chunk has no size'])
  })

  it('that is dropped is read as strictly', async () => {
    const reading = new Reading()
    await reading.say(chunks(`x\r\n${get('/2')}`))
    await reading.next()
    expect(reading.said).toEqual(['POST /', 'bad body: a chunk has no size'])
  })

  it('fails when the client is gone', async () => {
    const reading = new Reading()
    await reading.say(post('hel', '/', 5))
    const body = heard(streamOf(reading.body))
    await nextTurn()
    reading.reader.fail(new Error('the client left'))
    expect(await body).toBe('hel ✗ the client left')
    await reading.say('lo')
    expect(reading.reader.unreadBytes).toBe(0)
  })
})

describe('a CONNECT', () => {
  it('is handed over with what came behind it, and the stream is left alone', async () => {
    const reading = new Reading()
    await reading.say(`${connect}\x16\x03`)
    expect(reading.said).toEqual(['CONNECT good.test:443', 'unread "\\u0016\\u0003"'])
    expect([reading.paused, reading.stream.listenerCount('data'), reading.stream.listenerCount('end')]).toEqual([
      true,
      0,
      0,
    ])
    reading.reader.next()
    expect(reading.said).toHaveLength(2)
  })

  it.each([
    ['that waits behind a request', [get() + connect], true],
    ['that began before the answer', [get() + connect.slice(0, 3)], true],
    ['that comes after the answer', [get()], false],
    ['behind a body that was there before the answer', [post('hello') + connect], true],
    ['after the answer, behind a body that had come in part', [post('hel', '/', 5)], false],
    ['after the answer, behind a body that had come whole', [post('hello')], false],
  ])('%s: behind is %j', async (_, before, behind) => {
    const reading = new Reading()
    await reading.say(...before)
    await reading.next()
    const sent = before.join('')
    const missing = connect.slice(sent.endsWith(connect) ? connect.length : sent.endsWith('CON') ? 3 : 0)
    await reading.say((reading.reader.withinBody ? 'lo' : '') + missing)
    expect(reading.said.find((said) => said.startsWith('CONNECT'))).toBe(
      `CONNECT good.test:443${behind ? ' behind' : ''}`,
    )
  })
})

describe('the last word of a client', () => {
  it.each([
    ['where nothing was said', [], 'nothing'],
    ['within a head', ['GET / HT'], 'head'],
    ['behind a request', [get()], 'nothing'],
    ['within a length', [post('', '/', 5)], 'body'],
    ['within chunks', [chunks('')], 'body'],
  ])('%s', async (_, before, within) => {
    const reading = new Reading()
    await reading.say(...before)
    reading.stream.push(null)
    await nextTurn()
    expect(reading.said.at(-1)).toBe(`end within ${within}`)
  })

  it('is heard when all before it was read: a body that came whole is no body that ended early', async () => {
    const reading = new Reading()
    await reading.say(post('hello'))
    reading.stream.push(null)
    await nextTurn()
    expect(reading.said).toEqual(['POST /'])
    reading.body.open()
    await nextTurn()
    expect(reading.said).toEqual(['POST /', 'end within nothing'])
  })

  it('is not told of by a reader that stopped or let go', async () => {
    for (const leave of ['stop', 'detach'] as const) {
      const reading = new Reading()
      reading.reader[leave]()
      reading.stream.push(null)
      reading.stream.resume()
      await nextTurn()
      expect(reading.said).toEqual([])
    }
  })
})

describe('a reader that lets go', () => {
  it('returns what it read too much, and leaves the rest in the stream', async () => {
    const reading = new Reading()
    await reading.say(`${get()}more`)
    expect(reading.reader.detach().toString()).toBe('more')
    await reading.say('and more')
    expect(reading.said).toEqual(['GET /'])
    expect(String(reading.stream.read())).toBe('and more')
  })
})

describe('what begins like SOCKS', () => {
  it.each([
    ['its first byte', ['\x05', '\x01\x00'], 'SOCKS 05'],
    ['a greeting', ['\x05\x01\x00'], 'SOCKS 050100'],
    ['version 4', ['\x04\x01'], 'SOCKS 0401'],
    [
      'a greeting with a request behind it',
      [`\x05\x01\x00${get()}`],
      `SOCKS 050100${Buffer.from(get()).toString('hex')}`,
    ],
  ])('is left to its own reader, untouched: %s', async (_what, pieces, said) => {
    const reading = new Reading()
    reading.takesSocks = true
    await reading.say(...pieces)
    expect(reading.said).toEqual([said])
  })

  it('is a bad head where nobody takes it', async () => {
    const reading = new Reading()
    await reading.say('\x05\x01\x00')
    expect(reading.said).toEqual([expect.stringMatching(/^bad head/)])
  })

  it.each(['\x06', '\x16', '\x00', '\r\n\x05'])('is not %j', async (bytes) => {
    const reading = new Reading()
    reading.takesSocks = true
    await reading.say(bytes)
    expect(reading.said).toEqual([expect.stringMatching(/^bad head/)])
  })
})
