import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canBecomeHead, HeadTexts } from '../../../src/net/head-text.ts'
import type { RawHead } from '../../../src/net/request-head.ts'
import { cpuMs } from '../../support/cpu-ms.ts'

function parse(text: string): ReturnType<HeadTexts['parse']> {
  return new HeadTexts().parse(text)
}

function headOf(found: ReturnType<HeadTexts['parse']>): RawHead {
  return 'kind' in found ? expect.fail(found.detail) : found
}

function why(text: string): string {
  const found = parse(text)
  return 'kind' in found ? found.detail : 'nothing is wrong'
}

function printed({ method, target, httpVersion, fields }: RawHead): string {
  let text = `${method} ${target} HTTP/${httpVersion}\r\n`
  for (let i = 0; i < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`
  return text
}

const line = 'GET / HTTP/1.1\r\n'
const badLine = 'the request line is not "METHOD target HTTP/1.1"'
const badField = 'a field line is not "name: value"'

describe('a request line', () => {
  it.each([
    ['GET / HTTP/1.1\r\n', ['GET', '/', '1.1']],
    ['GET / HTTP/1.0\r\n', ['GET', '/', '1.0']],
    ['CONNECT good.test:443 HTTP/1.1\r\n', ['CONNECT', 'good.test:443', '1.1']],
    ['get http://good.test/?a=b#c HTTP/1.1\r\n', ['get', 'http://good.test/?a=b#c', '1.1']],
    ['G"T /\xff HTTP/1.1\r\n', ['G"T', '/\xff', '1.1']],
  ])('%j is one, and what it may hold is judged elsewhere', (text, parts) => {
    const { method, target, httpVersion, fields } = headOf(parse(text))
    expect([method, target, httpVersion]).toEqual(parts)
    expect(fields).toEqual([])
  })

  it.each([
    '\r\n',
    'GET\r\n',
    'GET /\r\n',
    'GET HTTP/1.1\r\n',
    ' GET / HTTP/1.1\r\n',
    'GET  / HTTP/1.1\r\n',
    'GET /  HTTP/1.1\r\n',
    'GET / HTTP/1.1 \r\n',
    'GET\t/ HTTP/1.1\r\n',
    'GET /a b HTTP/1.1\r\n',
    'GET /\x00 HTTP/1.1\r\n',
    'GET /\x7f HTTP/1.1\r\n',
    'GET /\t HTTP/1.1\r\n',
    'G\xe9T / HTTP/1.1\r\n',
    'GET / http/1.1\r\n',
    'GET / HTTP/1.2\r\n',
    'GET / HTTP/2.0\r\n',
    'GET / HTTP/1.10\r\n',
    'GET / HTTP/01.1\r\n',
    'GET / HTTP/1,1\r\n',
    'GET / HTTP/1.1\r\r\n',
    'GET / HTTP/1.1\n\r\n',
    'GET / HTTP/1.1\rHost: a\r\n',
    'GET / HTTP/1.1\nHost: a\r\n',
    `\r\n${line}`,
  ])('%j is none', (text) => {
    expect(why(text)).toBe(badLine)
  })

  it.each(['', 'G', 'GET / HTTP/1.1', 'GET / HTTP/1.1\n', 'GET / HTTP/1.1\r'])(
    '%j has no end, and is no head',
    (text) => {
      expect(why(text)).not.toBe('nothing is wrong')
    },
  )
})

describe('field lines', () => {
  it.each([
    ['A: b\r\n', ['A', 'b']],
    ['A:b\r\n', ['A', 'b']],
    ['A: \t b \t\r\n', ['A', 'b']],
    ['A:\r\n', ['A', '']],
    ['A: \t \r\n', ['A', '']],
    ['A: b  c\td\r\n', ['A', 'b  c\td']],
    ['A: :b:\r\n', ['A', ':b:']],
    ['A: b\r\nA: c\r\n', ['A', 'b', 'A', 'c']],
    ['A: \x80\xff\r\n', ['A', '\x80\xff']],
    ["!#$%&'*+-.^_`|~09azAZ: b\r\n", ["!#$%&'*+-.^_`|~09azAZ", 'b']],
  ])('%j are read as they are, without the blanks around a value', (lines, fields) => {
    expect(headOf(parse(line + lines)).fields).toEqual(fields)
  })

  it.each([
    'A\r\n',
    ': b\r\n',
    'A : b\r\n',
    'A\t: b\r\n',
    ' A: b\r\n',
    '\tA: b\r\n',
    'A: b\r\n c\r\n',
    'A: b\r\n\tc\r\n',
    'A B: c\r\n',
    'A(: b\r\n',
    'A\xe9: b\r\n',
    'A\x00: b\r\n',
    'A: \x00\r\n',
    'A: \x01\r\n',
    'A: \x0b\r\n',
    'A: \x7f\r\n',
    'A: b\n\r\n',
    'A: b\nB: c\r\n',
    'A: b\rB: c\r\n',
    'A: b\r\r\n',
    '\rA: b\r\n',
    'A: b\r\n\r\n',
    'A: b',
    'A: b\r',
    'A: b\n',
  ])('%j are none', (lines) => {
    expect(why(line + lines)).toBe(badField)
    expect(why(`${line}B: c\r\n${lines}`)).toBe(badField)
  })

  it('of a value that is a long run of blanks are read in no time', () => {
    const began = cpuMs()
    expect(headOf(parse(`${line}A: ${' \t'.repeat(50_000)}b\r\n`)).fields).toEqual(['A', 'b'])
    expect(cpuMs() - began).toBeLessThan(500)
  })
})

describe('the heads of one connection', () => {
  it('that repeat their fields word for word share one list', () => {
    const heads = new HeadTexts()
    const first = headOf(heads.parse('GET /a HTTP/1.1\r\nHost: a\r\n'))
    const second = headOf(heads.parse('POST /b HTTP/1.0\r\nHost: a\r\n'))
    expect(second).toEqual({ method: 'POST', target: '/b', httpVersion: '1.0', fields: ['Host', 'a'] })
    expect(second.fields).toBe(first.fields)
  })

  it.each(['host: a\r\n', 'Host:a\r\n', 'Host: a \r\n', 'Host: b\r\n', 'Host: a\r\nA: b\r\n', ''])(
    'that say %j instead do not',
    (lines) => {
      const heads = new HeadTexts()
      const first = headOf(heads.parse(`${line}Host: a\r\n`))
      const other = headOf(heads.parse(line + lines))
      expect(other.fields).not.toBe(first.fields)
      expect(other.fields).toEqual(headOf(parse(line + lines)).fields)
    },
  )

  it('that are long are not kept', () => {
    const heads = new HeadTexts()
    const lines = `A: ${'b'.repeat(5000)}\r\n`
    const first = headOf(heads.parse(line + lines))
    const second = headOf(heads.parse(line + lines))
    expect(second.fields).toEqual(first.fields)
    expect(second.fields).not.toBe(first.fields)
  })

  it('share nothing with those of another', () => {
    expect(headOf(parse(line)).fields).not.toBe(headOf(parse(line)).fields)
  })

  it('that are none change nothing for the next', () => {
    const heads = new HeadTexts()
    const first = headOf(heads.parse(`${line}Host: a\r\n`))
    expect(heads.parse(`${line}Host : b\r\n`)).toHaveProperty('kind')
    expect(heads.parse('GET\r\nHost: a\r\n')).toHaveProperty('kind')
    expect(headOf(heads.parse(`${line}Host: a\r\n`)).fields).toBe(first.fields)
  })
})

/** Text of the bytes that matter here, and of all others now and then. */
const crafted = fc
  .array(
    fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom('\r\n', 'A: b', 'GET', ' ', '/', 'HTTP/1.1', ':', '\r', '\n', '\t', '') },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)) },
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''))

const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}$/)
const validHead = fc
  .record({
    method: token,
    target: fc.stringMatching(/^[!-~\x80-\xff]{1,20}$/),
    minor: fc.constantFrom('0', '1'),
    fields: fc.array(fc.tuple(token, fc.stringMatching(/^[\t -~\x80-\xff]{0,20}$/)), { maxLength: 4 }),
  })
  .map(
    ({ method, target, minor, fields }) =>
      `${method} ${target} HTTP/1.${minor}\r\n${fields.map(([name, value]) => `${name}:${value}\r\n`).join('')}`,
  )

describe('any text', () => {
  it('is a head or a problem, and never an error', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          crafted,
          fc.uint8Array().map((bytes) => Buffer.from(bytes).toString('latin1')),
        ),
        (text) => {
          for (const whole of [text, line + text]) {
            const found = parse(whole)
            if ('kind' in found) expect(found.reason).toBe('malformed_request')
            else expect(headOf(parse(printed(found)))).toEqual(found)
          }
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('that keeps to the grammar is a head, and prints back to itself', () => {
    fc.assert(
      fc.property(validHead, (text) => {
        const head = headOf(parse(text))
        expect(headOf(parse(printed(head)))).toEqual(head)
        expect(printed(head).replaceAll(/[\t ]/g, '')).toBe(text.replaceAll(/[\t ]/g, ''))
      }),
    )
  })
})

describe('the beginning of a head', () => {
  it.each(['', '\r', '\r\n', 'G', line, `${line}A: b\r`, `${line}A: b\r\n`, `${line}A: b\r\n\r`, 'no head at all'])(
    '%j can still become one',
    (text) => {
      expect(canBecomeHead(text)).toBe(true)
    },
  )

  it.each(['\0', '\n', '\x16\x03\x01', 'GET / HTTP/1.1\n', 'GET /\x7f', `${line}A: b\n`, 'A\rB', '\r\r', 'a\x0b'])(
    '%j cannot',
    (text) => {
      expect(canBecomeHead(text)).toBe(false)
    },
  )

  it('is every beginning of every head', () => {
    fc.assert(
      fc.property(validHead, (text) => {
        const whole = `${text}\r\n`
        for (let end = 0; end <= whole.length; end++)
          expect(canBecomeHead(whole.slice(0, end)), JSON.stringify(whole.slice(0, end))).toBe(true)
      }),
    )
  })

  it('that cannot become one becomes none, whatever follows', () => {
    fc.assert(
      fc.property(crafted, crafted, (text, more) => {
        fc.pre(!canBecomeHead(text))
        expect(canBecomeHead(text + more)).toBe(false)
        expect(parse(text + more)).toHaveProperty('kind')
        expect(parse(line + text + more)).toHaveProperty('kind')
      }),
    )
  })
})
