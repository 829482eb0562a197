import type { Socket } from 'node:net'
import { Writable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { ClientAnswer } from '../../../src/exchange/client-answer.ts'
import type { Connection } from '../../../src/exchange/connection.ts'
import { Outbox } from '../../../src/exchange/outbox.ts'
import { noteRepeated } from '../../../src/net/field-memo.ts'
import type { RawHead } from '../../../src/net/request-head.ts'
import type { ResponseHead } from '../../../src/net/response-head.ts'

/** A stream that stands in for a socket: each entry of `sent` is one write to it, as latin1. */
class Wire extends Writable {
  readonly sent: string[] = []

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    this.sent.push(bytes.toString('latin1'))
    done()
  }

  override _writev(pieces: { chunk: Buffer }[], done: () => void): void {
    this.sent.push(Buffer.concat(pieces.map(({ chunk }) => chunk)).toString('latin1'))
    done()
  }

  get text(): string {
    return this.sent.join('')
  }
}

function answerOf(
  request: Partial<RawHead> = {},
  wire: Wire = new Wire(),
): { answer: ClientAnswer; out: Outbox; wire: Wire } {
  const raw = { method: 'GET', target: '/', httpVersion: '1.1', fields: [], ...request }
  const out = new Outbox(wire as unknown as Socket)
  const connection = { out, start: { stream: wire }, cut: () => wire.destroy() } as unknown as Connection
  return { answer: new ClientAnswer(connection, raw), out, wire }
}

function headOf(fields: readonly string[] = [], status = 200, reason = 'OK'): ResponseHead {
  return { status, reason, fields, bytes: 0 }
}

const length = ['Content-Length', '5']

describe('the framing of an answer', () => {
  it.each<[string, Partial<RawHead>, ResponseHead, string]>([
    ['the length that was promised', {}, headOf(length), 'Content-Length: 5\r\n\r\nhello'],
    ['the length, however it is spelled', {}, headOf(['content-LENGTH', '5']), 'content-LENGTH: 5\r\n\r\nhello'],
    ['chunks where there is none', {}, headOf(), 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'],
    ['the end of the connection for HTTP/1.0', { httpVersion: '1.0' }, headOf(), 'Connection: close\r\n\r\nhello'],
    [
      'the end of the connection even where HTTP/1.0 would stay',
      { httpVersion: '1.0', fields: ['Connection', 'keep-alive'] },
      headOf(),
      'Connection: close\r\n\r\nhello',
    ],
    [
      'a length for HTTP/1.0 too',
      { httpVersion: '1.0', fields: ['Connection', 'keep-alive'] },
      headOf(length),
      'Content-Length: 5\r\nConnection: keep-alive\r\n\r\nhello',
    ],
    ['nothing for HEAD, but the length', { method: 'HEAD' }, headOf(length), 'Content-Length: 5\r\n\r\n'],
    ['nothing for HEAD without a length', { method: 'HEAD' }, headOf(), '\r\n'],
    ['nothing for HEAD of HTTP/1.0', { method: 'HEAD', httpVersion: '1.0' }, headOf(), 'Connection: close\r\n\r\n'],
  ])('is %s', async (_, request, head, after) => {
    const { answer, wire } = answerOf(request)
    answer.start(head)
    expect(answer.write(Buffer.from('hello'))).toBe(true)
    answer.end()
    await nextTurn()
    expect(wire.text).toBe(`HTTP/1.1 200 OK\r\n${after}`)
    expect(answer.last).toBe(after.includes('Connection: close'))
  })

  it.each<[number, readonly string[], string]>([
    [204, [], '\r\n'],
    [204, length, '\r\n'],
    [304, [], '\r\n'],
    [304, length, 'Content-Length: 5\r\n\r\n'],
  ])('is none for %i with %j', (status, fields, after) => {
    const { answer, out, wire } = answerOf()
    answer.start(headOf(fields, status, 'Because'))
    answer.write(Buffer.from('hello'))
    answer.end()
    out.flush()
    expect(wire.text).toBe(`HTTP/1.1 ${status} Because\r\n${after}`)
  })

  it('is chunks of what is there: an empty piece is not the end', () => {
    const { answer, out, wire } = answerOf()
    answer.start(headOf())
    for (const piece of ['', 'a', '', '', 'b', '']) answer.write(Buffer.from(piece))
    answer.end()
    out.flush()
    expect(wire.text.split('\r\n\r\n').slice(1).join('\r\n\r\n')).toBe('1\r\na\r\n1\r\nb\r\n0\r\n\r\n')
  })

  it('is an end where no piece came', () => {
    const { answer, out, wire } = answerOf()
    answer.start(headOf())
    answer.end()
    out.flush()
    expect(wire.sent).toEqual(['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'])
  })

  it.each([1, 15, 16, 16_384, 16_385, 100_000])('tells the size of a chunk of %i bytes', (size) => {
    const { answer, out, wire } = answerOf()
    const piece = Buffer.alloc(size, 0xe9)
    answer.start(headOf())
    answer.write(Buffer.from('x'))
    answer.write(piece)
    answer.end()
    out.flush()
    const text = `1\r\nx\r\n${size.toString(16)}\r\n${piece.toString('latin1')}\r\n0\r\n\r\n`
    expect(wire.text.endsWith(`\r\n\r\n${text}`)).toBe(true)
  })
})

describe('the writes of an answer', () => {
  it('are one for a head and a small body that come together', async () => {
    for (const [fields, after] of [
      [length, 'hello'],
      [[], '5\r\nhello\r\n0\r\n\r\n'],
    ] as const) {
      const { answer, wire } = answerOf()
      answer.start(headOf(fields))
      answer.write(Buffer.from('hello'))
      answer.end()
      await nextTurn()
      expect(wire.sent).toHaveLength(1)
      expect(wire.text.endsWith(`\r\n\r\n${after}`)).toBe(true)
    }
  })

  it('are one for a head without a body', async () => {
    const { answer, wire } = answerOf({ method: 'HEAD' })
    answer.start(headOf(length))
    answer.end()
    await nextTurn()
    expect(wire.sent).toHaveLength(1)
  })

  it('are one for a head that comes alone, within the same turn', async () => {
    const { answer, wire } = answerOf()
    answer.start(headOf(length))
    expect(wire.sent).toEqual([])
    await Promise.resolve()
    await nextTurn()
    expect(wire.sent).toEqual(['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'])
    answer.write(Buffer.from('hello'))
    answer.end()
    expect(wire.sent.slice(1)).toEqual(['hello'])
  })

  it('are one for a head and the first piece, however much follows later', async () => {
    const { answer, wire } = answerOf()
    answer.start(headOf())
    answer.write(Buffer.from('data: 1\n\n'))
    await nextTurn()
    expect(wire.sent).toHaveLength(1)
    expect(wire.text.endsWith('\r\n\r\n9\r\ndata: 1\n\n\r\n')).toBe(true)
    answer.write(Buffer.from('a'))
    expect(wire.sent.slice(1)).toEqual(['1\r\na\r\n'])
  })

  it('are one for a large chunk, its size and its end', () => {
    const { answer, out, wire } = answerOf()
    answer.start(headOf())
    out.flush()
    answer.write(Buffer.alloc(20_000, 'x'))
    expect(wire.sent.slice(1)).toEqual([`4e20\r\n${'x'.repeat(20_000)}\r\n`])
  })

  it('keep bytes as they are', () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
    const { answer, out, wire } = answerOf()
    answer.start(headOf(['Content-Length', '512', 'X', '\xe9']))
    answer.write(all)
    answer.write(all)
    answer.end()
    out.flush()
    expect(wire.text).toContain('X: \xe9\r\n')
    expect(wire.text.endsWith(all.toString('latin1').repeat(2))).toBe(true)
  })

  it.each([
    ['a length', length],
    ['chunks', []],
  ])('say when the client has enough (%s)', (_, fields) => {
    for (const size of [100, 20_000]) {
      const wire = new Wire({ highWaterMark: 50 })
      wire._write = () => undefined
      wire._writev = () => undefined
      const { answer, out } = answerOf({}, wire)
      answer.start(headOf(fields))
      out.flush()
      expect(answer.write(Buffer.alloc(size))).toBe(false)
    }
  })

  it('begin with a 100 where the client waits for it', () => {
    const { answer, wire } = answerOf()
    answer.continue()
    expect([wire.text, answer.status]).toEqual(['HTTP/1.1 100 Continue\r\n\r\n', null])
  })
})

describe('a connection', () => {
  it.each<[string, readonly string[], boolean]>([
    ['1.1', [], false],
    ['1.1', ['Connection', 'keep-alive'], false],
    ['1.1', ['Connection', 'close'], true],
    ['1.1', ['connection', 'CLOSE'], true],
    ['1.1', ['Connection', 'foo, close'], true],
    ['1.1', ['Connection', 'keep-alive, close'], true],
    ['1.1', ['Connection', 'keep-alive', 'Connection', 'close'], true],
    ['1.1', ['Connection', 'closed'], false],
    ['1.1', ['X-Connection', 'close'], false],
    ['1.1', ['Proxy-Connection', 'close'], true],
    ['1.1', ['Proxy-Connection', 'keep-alive'], false],
    ['1.0', [], true],
    ['1.0', ['Connection', 'keep-alive'], false],
    ['1.0', ['Connection', 'Keep-Alive, foo'], false],
    ['1.0', ['Proxy-Connection', 'keep-alive'], false],
    ['1.0', ['Proxy-Connection', 'keep-alive', 'Connection', 'close'], true],
    ['1.0', ['Connection', 'kept-alive'], true],
  ])('of HTTP/%s with %j: it ends with the answer: %j', (httpVersion, fields, last) => {
    // Once as it comes, and again as one that repeats itself.
    for (let i = 0; i < 3; i++) {
      const { answer, out, wire } = answerOf({ httpVersion, fields })
      expect(answer.last).toBe(last)
      answer.start(headOf(length))
      answer.end()
      out.flush()
      expect(/^Connection: (.*)\r$/m.exec(wire.text)?.[1]).toBe(
        last ? 'close' : httpVersion === '1.0' ? 'keep-alive' : undefined,
      )
      noteRepeated(fields)
    }
  })
})

describe('a whole answer of our own', () => {
  const reply = { status: 403, reason: 'No', fields: ['X-A', 'b'], body: '{"é":1}' }

  it('has its length in bytes', () => {
    const { answer, out, wire } = answerOf()
    answer.send(reply)
    out.flush()
    expect(wire.sent).toEqual([
      `HTTP/1.1 403 No\r\nX-A: b\r\nContent-Length: 8\r\n\r\n${Buffer.from('{"é":1}').toString('latin1')}`,
    ])
    expect(answer.status).toBe(403)
  })

  it('has no body for HEAD', () => {
    const { answer, out, wire } = answerOf({ method: 'HEAD' })
    answer.send(reply)
    out.flush()
    expect(wire.text).toBe('HTTP/1.1 403 No\r\nX-A: b\r\nContent-Length: 8\r\n\r\n')
  })

  it('says that it is the last', () => {
    const { answer, out, wire } = answerOf()
    answer.last = true
    answer.send(reply)
    out.flush()
    expect(wire.text).toContain('Content-Length: 8\r\nConnection: close\r\n\r\n')
  })
})
