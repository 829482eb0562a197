import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type BodyDecoder, createBodyDecoder } from '../../../src/net/body-decoder.ts'
import type { BodyFraming } from '../../../src/net/request-head.ts'

const chunked: BodyFraming = { kind: 'chunked' }

function decoderOf(framing: BodyFraming): BodyDecoder {
  return createBodyDecoder(framing) ?? expect.fail('no body')
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}

type Decoded = {
  readonly state: BodyDecoder['state']
  readonly problem: string | null
  readonly body: string
  /** What stands behind the body; null where its end did not come. */
  readonly rest: string | null
}

/** As a reader does it: piece by piece, and what is behind the end is somebody else's. */
function decode(framing: BodyFraming, text: string, cuts: readonly number[] = []): Decoded {
  const decoder = decoderOf(framing)
  const pieces: Buffer[] = []
  let rest: string | null = null
  const places = [0, ...cuts.map((cut) => Math.floor(cut * text.length)).toSorted((a, b) => a - b), text.length]
  for (const [index, end] of places.slice(1).entries()) {
    const bytes = bytesOf(text.slice(places[index], end))
    if (decoder.state === 'broken') continue
    const stopped = decoder.state === 'ended' ? 0 : decoder.take(bytes, 0, (piece) => pieces.push(piece))
    if (decoder.state === 'more') expect(stopped).toBe(bytes.length)
    if (decoder.state === 'ended') rest = (rest ?? '') + bytes.toString('latin1', stopped)
  }
  const { state, problem } = decoder
  return { state, problem, body: Buffer.concat(pieces).toString('latin1'), rest }
}

describe('no body', () => {
  it.each<BodyFraming>([{ kind: 'none' }, { kind: 'length', length: 0 }])('is %o', (framing) => {
    expect(createBodyDecoder(framing)).toBeNull()
  })
})

describe('a body with a length', () => {
  it('ends where its length says, and leaves the rest', () => {
    const found = decode({ kind: 'length', length: 5 }, 'hello!rest')
    expect(found).toEqual({ state: 'ended', problem: null, body: 'hello', rest: '!rest' })
  })

  it('wants more until then', () => {
    expect(decode({ kind: 'length', length: 5 }, 'hell').state).toBe('more')
  })

  it('begins where it is told to', () => {
    const pieces: string[] = []
    const decoder = decoderOf({ kind: 'length', length: 3 })
    expect(decoder.take(bytesOf('xxabcd'), 2, (piece) => pieces.push(piece.toString()))).toBe(5)
    expect(pieces).toEqual(['abc'])
  })

  it('takes nothing once it has ended', () => {
    const decoder = decoderOf({ kind: 'length', length: 1 })
    decoder.take(bytesOf('a'), 0, () => undefined)
    expect(decoder.take(bytesOf('b'), 0, () => expect.fail('a piece'))).toBe(0)
  })

  it('hands on what it was given without a copy', () => {
    const bytes = bytesOf('hello')
    decoderOf({ kind: 'length', length: 9 }).take(bytes, 0, (piece) => expect(piece).toBe(bytes))
    decoderOf({ kind: 'length', length: 2 }).take(bytes, 0, (piece) => expect(piece.buffer).toBe(bytes.buffer))
  })

  it('says how long it is to whoever has all of it, and to nobody else', () => {
    const decoder = decoderOf({ kind: 'length', length: 5 })
    expect([4, 5, 6].map((bytes) => decoder.lengthWithin(bytes))).toEqual([null, 5, 5])
    decoder.take(bytesOf('he'), 0, () => undefined)
    expect([2, 3].map((bytes) => decoder.lengthWithin(bytes))).toEqual([null, 3])
  })

  it('is the same however it is cut', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary-ascii' }),
        fc.integer({ min: 1, max: 20 }),
        cutsOf(),
        (text, length, cuts) => {
          const found = decode({ kind: 'length', length }, text, cuts)
          expect(found.body).toBe(text.slice(0, length))
          expect(found.state).toBe(text.length < length ? 'more' : 'ended')
          expect(found.rest).toBe(text.length < length ? null : text.slice(length))
        },
      ),
    )
  })
})

describe('chunks', () => {
  it.each([
    ['0\r\n\r\n', ''],
    ['5\r\nhello\r\n0\r\n\r\n', 'hello'],
    ['5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n', 'hello!'],
    ['a\r\n0123456789\r\n0\r\n\r\n', '0123456789'],
    ['A\r\n0123456789\r\n0\r\n\r\n', '0123456789'],
    ['000000000005\r\nhello\r\n000000000000\r\n\r\n', 'hello'],
    ['5;a\r\nhello\r\n0;b\r\n\r\n', 'hello'],
    ['5;a=b;c="d \\" e"\r\nhello\r\n0\r\n\r\n', 'hello'],
    ['4\r\n\r\n\r\n\r\n0\r\n\r\n', '\r\n\r\n'],
    ['5\r\nhello\r\n0\r\nX: y\r\nZ:\r\n\r\n', 'hello'],
    ['5\r\n0\r\n\r\n\r\n0\r\n\r\n', '0\r\n\r\n'],
  ])('%j are a body, without sizes, extensions and trailers', (text, body) => {
    expect(decode(chunked, `${text}GET /`)).toEqual({ state: 'ended', problem: null, body, rest: 'GET /' })
  })

  it.each([
    ...['', ' 5', '5 ', '5\t', '0x5', '+5', '-1', '5h', 'g', '1_0', '5.0', '"5"', '0000000000005', 'f'.repeat(16)].map(
      (size) => [`${size}\r\nhello\r\n0\r\n\r\n`, 'a chunk has no size', ''],
    ),
    ...[';', ';=b', ' ;a', ';a b', ';a="b', ';a="\x01"', ';a=', ';a="b"c', ';a\0', '; a', ';a\\'].map((extension) => [
      `5${extension}\r\nhello\r\n0\r\n\r\n`,
      'a chunk has no size',
      '',
    ]),
    ['5\nhello\r\n0\r\n\r\n', 'a line of the chunked body ends without a return', ''],
    ['5;a\nX\r\nhello\r\n0\r\n\r\n', 'a line of the chunked body ends without a return', ''],
    ['5\r\nhello\n0\r\n\r\n', 'a line of the chunked body ends without a return', 'hello'],
    ['5\r\nhello0\r\n\r\n', 'a chunk is longer than its size', 'hello'],
    ['5\r\nhello!\r\n0\r\n\r\n', 'a chunk is longer than its size', 'hello'],
    ['5\r\nhello\r\r\n0\r\n\r\n', 'a chunk is longer than its size', 'hello'],
    ['0\r\nX\r\n\r\n', 'a trailer is not "name: value"', ''],
    ['0\r\n: y\r\n\r\n', 'a trailer is not "name: value"', ''],
    ['0\r\nX : y\r\n\r\n', 'a trailer is not "name: value"', ''],
    ['0\r\nX: y\r\n z\r\n\r\n', 'a trailer is not "name: value"', ''],
    ['0\r\nX: \x01\r\n\r\n', 'a trailer is not "name: value"', ''],
    ['0\r\nX: y\n\r\n', 'a line of the chunked body ends without a return', ''],
    ['0\r\n\n', 'a line of the chunked body ends without a return', ''],
    ['0\r\nContent-Length: 5\r\n\r\n', 'a trailer that frames', ''],
    ['0\r\nX: y\r\ntransfer-ENCODING: chunked\r\n\r\n', 'a trailer that frames', ''],
  ])('%j break: %s', (text, problem, body) => {
    expect(decode(chunked, text)).toEqual({ state: 'broken', problem, body, rest: null })
  })

  it.each([
    '',
    '5',
    '5\r',
    '5\r\nhell',
    '5\r\nhello',
    '5\r\nhello\r',
    '5\r\nhello\r\n0',
    '0\r\n',
    '0\r\nX: y\r\n',
    '0\r\n\r',
  ])('%j are not over', (text) => {
    expect(decode(chunked, text).state).toBe('more')
  })

  it('take nothing once they are broken', () => {
    const decoder = decoderOf(chunked)
    decoder.take(bytesOf('x\r\n5\r\nhello\r\n'), 0, () => expect.fail('a piece'))
    expect(decoder.take(bytesOf('5\r\nhello\r\n'), 0, () => expect.fail('a piece'))).toBe(0)
    expect([decoder.state, decoder.problem]).toEqual(['broken', 'a chunk has no size'])
  })

  it('are never known to be whole', () => {
    expect(decoderOf(chunked).lengthWithin(2 ** 30)).toBeNull()
  })
})

describe('what is dropped of chunks', () => {
  const long = (bytes: number): string => `;${'x'.repeat(bytes - 1)}`
  const tooLong = 'a line of the chunked body is too long'
  const tooMany = 'too many extensions or trailers'

  it.each([
    ['an extension that fills the longest line', `1${long(8189)}\r\na\r\n0\r\n\r\n`, null],
    ['an extension one byte longer', `1${long(8190)}\r\na\r\n0\r\n\r\n`, tooLong],
    ['a trailer that fills the longest line', `0\r\nX:${'y'.repeat(8188)}\r\n\r\n`, null],
    ['a trailer one byte longer', `0\r\nX:${'y'.repeat(8189)}\r\n\r\n`, tooLong],
    ['a line that never ends', 'x'.repeat(8193), tooLong],
    ['64 KiB of extensions', `${`1${long(4096)}\r\na\r\n`.repeat(16)}0\r\n\r\n`, null],
    ['two bytes more than 64 KiB of extensions', `${`1${long(4096)}\r\na\r\n`.repeat(16)}0;x\r\n\r\n`, tooMany],
    ['64 KiB of trailers', `0\r\n${`X:${'y'.repeat(4094)}\r\n`.repeat(16)}\r\n`, null],
    ['two bytes more than 64 KiB of trailers', `0\r\n${`X:${'y'.repeat(4094)}\r\n`.repeat(16)}X:\r\n\r\n`, tooMany],
    ['half of each', `${`1${long(4096)}\r\na\r\n`.repeat(8)}0\r\n${`X:${'y'.repeat(4094)}\r\n`.repeat(8)}\r\n`, null],
    [
      'half of each and two bytes more',
      `${`1${long(4096)}\r\na\r\n`.repeat(8)}0\r\n${`X:${'y'.repeat(4094)}\r\n`.repeat(8)}X:\r\n\r\n`,
      tooMany,
    ],
    ['more than 64 KiB of extensions, two bytes at a time', `${'1;x\r\na\r\n'.repeat(32_769)}0\r\n\r\n`, tooMany],
    ['any number of chunks without any', `${'1\r\na\r\n'.repeat(70_000)}0\r\n\r\n`, null],
  ])('is bounded: %s', (_, text, problem) => {
    const found = decode(chunked, text, [0.1, 0.5, 0.9])
    expect([found.state, found.problem]).toEqual([problem === null ? 'ended' : 'broken', problem])
  })
})

/** RFC 9110 §5.6.2: whatever is visible and separates nothing. */
const word = String.raw`[^\x00-\x20"(),\/:;<=>?@[\\\]{}\x7f-\xff]+`
const quoted = String.raw`"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e]|\\[\t\x20-\x7e])*"`
const naiveSize = new RegExp(String.raw`^([0-9a-f]+)(?:;${word}(?:=(?:${word}|${quoted}))?)*\r\n`, 'i')
const naiveTrailers = new RegExp(
  String.raw`^(?:(?!content-length:|transfer-encoding:)${word}:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n`,
  'i',
)

/**
 * Chunks as RFC 9112 §7.1 writes them, read with all of the text at hand and none of the care for lines that end later.
 * Null: not over, or not chunks.
 */
function naive(text: string): { readonly body: string; readonly rest: string } | null {
  let body = ''
  let at = 0
  for (;;) {
    const line = naiveSize.exec(text.slice(at))
    if (line === null) return null
    at += line[0].length
    const size = Number.parseInt(line[1] ?? '', 16)
    if (size === 0) break
    if (text.slice(at + size, at + size + 2) !== '\r\n') return null
    body += text.slice(at, at + size)
    at += size + 2
  }
  const trailers = naiveTrailers.exec(text.slice(at))
  return trailers === null ? null : { body, rest: text.slice(at + trailers[0].length) }
}

function cutsOf(): fc.Arbitrary<number[]> {
  return fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 })
}

const sentChunks = fc
  .record({
    chunks: fc.array(
      fc.record({
        data: fc.oneof(
          fc.constantFrom('a', '\r\n', '0\r\n\r\n', 'hello'),
          fc.string({ minLength: 1, maxLength: 40, unit: 'binary-ascii' }),
        ),
        extension: fc.constantFrom('', '', ';a', ';a=b', ';a="b c"'),
        zeros: fc.constantFrom('', '0'),
      }),
      { maxLength: 5 },
    ),
    trailers: fc.constantFrom('', '', 'X: y\r\n', 'X:\r\nY-Z: z\r\n'),
    rest: fc.constantFrom('', 'GET / HTTP/1.1\r\n', '0\r\n\r\n', '\0'),
  })
  .map(
    ({ chunks, trailers, rest }) =>
      `${chunks
        .map(({ data, extension, zeros }) => `${zeros}${data.length.toString(16)}${extension}\r\n${data}\r\n`)
        .join('')}0\r\n${trailers}\r\n${rest}`,
  )

/** A byte changed, lost or added somewhere. */
const disturbed = fc
  .tuple(
    sentChunks,
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.constantFrom('', 'x', '\r', '\n', '0', ';', ' '),
    fc.boolean(),
  )
  .map(([text, where, byte, replace]) => {
    const at = Math.floor(where * text.length)
    return text.slice(0, at) + byte + text.slice(replace ? at + 1 : at)
  })

describe('any chunks', () => {
  it('are what a naive reader makes of them, however they are cut', () => {
    fc.assert(
      fc.property(fc.oneof(sentChunks, disturbed), cutsOf(), (text, cuts) => {
        const expected = naive(text)
        const found = decode(chunked, text, cuts)
        if (expected === null) expect(found.state).not.toBe('ended')
        else expect(found).toEqual({ state: 'ended', problem: null, ...expected })
      }),
      { numRuns: 2000 },
    )
  })

  it('end and break the same way however they are cut', () => {
    fc.assert(
      fc.property(disturbed, cutsOf(), (text, cuts) => {
        expect(decode(chunked, text, cuts)).toEqual(decode(chunked, text))
      }),
      { numRuns: 2000 },
    )
  })
})

it('what stands behind the chunks is kept, and no more of it than a head may have', () => {
  const decoder = decoderOf({ kind: 'chunked' })
  decoder.take(bytesOf('1\r\na\r\n0\r\nX-A: b\r\nx-c:d \r\n\r\n'), 0, () => undefined)
  expect(decoder.trailers).toEqual(['X-A', ' b', 'x-c', 'd '])
  const many = decoderOf({ kind: 'chunked' })
  many.take(bytesOf(`0\r\n${'a:b\r\n'.repeat(10_000)}\r\n`), 0, () => undefined)
  expect([many.state, many.trailers.length]).toEqual(['ended', 512])
  expect(decoderOf({ kind: 'length', length: 1 }).trailers).toEqual([])
})
