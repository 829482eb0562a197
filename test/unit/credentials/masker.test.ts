import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Masker, maskText } from '../../../src/credentials/redact/masker.ts'
import { parseSecret, type Secret } from '../../../src/credentials/secret.ts'
import { maskedBy, renderings } from './masker-model.ts'
import { cpuMs } from '../../support/cpu-ms.ts'

const text = 'sk-ant-api03-Zq/7+x_9=&<"\'>%41\\u0041b'

function secretOf(value: string): Secret {
  const secret = parseSecret(value, { unsafeShortSecret: true })
  return typeof secret === 'string' ? expect.fail(secret) : secret
}

/** What comes out, piece by piece; the pieces are copies, since the masker owns what it is given. */
function pieces(
  secrets: readonly Secret[],
  chunks: readonly Buffer[],
): { readonly out: Buffer[]; readonly count: number } {
  const masker = new Masker(secrets)
  const out = chunks.map((chunk) => masker.push(Buffer.from(chunk)))
  out.push(masker.finish())
  return { out, count: masker.redactions }
}

function masked(value: string, whole: string): string {
  return maskText([secretOf(value)], whole).text
}

function cut(whole: Buffer, at: readonly number[]): Buffer[] {
  const borders = [...new Set([0, ...at.map((n) => n % (whole.length + 1)), whole.length])].sort((a, b) => a - b)
  return borders.slice(1).map((end, i) => whole.subarray(borders[i], end))
}

describe('a secret that comes back', () => {
  it.each<readonly [string, string]>([
    ['plain', text],
    ['percent-encoded', encodeURIComponent(text)],
    [
      'percent-encoded throughout, in lower case',
      Array.from(text)
        .map((c) => `%${hex(c)}`)
        .join(''),
    ],
    ['percent-encoded in part', text.replace(/[%a-m]/g, (c) => `%${hex(c).toUpperCase()}`)],
    ['in hex', Buffer.from(text).toString('hex')],
    ['in upper-case hex', Buffer.from(text).toString('hex').toUpperCase()],
    ['in JSON', JSON.stringify(text).slice(1, -1)],
    ['in JSON with escaped slashes', JSON.stringify(text).slice(1, -1).replaceAll('/', '\\/')],
    [
      'in JSON, in numbers throughout',
      Array.from(text)
        .map((c) => `\\u00${hex(c)}`)
        .join(''),
    ],
    [
      'in a JavaScript string, in numbers',
      Array.from(text)
        .map((c) => `\\x${hex(c)}`)
        .join(''),
    ],
    [
      'in HTML',
      text.replace(/[&<>"']/g, (c) => `&${{ '&': 'amp', '<': 'lt', '>': 'gt', '"': 'quot', "'": 'apos' }[c] ?? ''};`),
    ],
    [
      'in HTML, decimal',
      Array.from(text)
        .map((c) => `&#${c.charCodeAt(0)};`)
        .join(''),
    ],
    [
      'in HTML, hex with zeros',
      Array.from(text)
        .map((c) => `&#x00${hex(c)};`)
        .join(''),
    ],
    [
      'in HTML, hex in upper case',
      Array.from(text)
        .map((c) => `&#X${hex(c).toUpperCase()};`)
        .join(''),
    ],
    ['in base64', Buffer.from(text).toString('base64').replace(/=+$/, '')],
    ['in base64url', Buffer.from(text).toString('base64url')],
  ])('%s is masked, and its length stays', (_, rendered) => {
    expect(masked(text, rendered)).toBe('*'.repeat(rendered.length))
    expect(masked(text, `a "${rendered}" b`)).toBe(`a "${'*'.repeat(rendered.length)}" b`)
  })

  it.each(['u:', 'me:', 'you:', 'x-access-token:'])('in Basic behind %j is masked in base64', (user) => {
    const pair = Buffer.from(`${user}${text}`).toString('base64')
    const shown = masked(text, `Basic ${pair}.`)
    const heard = Buffer.from(/Basic ([^*]*)/.exec(shown)?.[1] ?? '', 'base64').toString()
    expect(user.startsWith(heard)).toBe(true)
    expect(shown).toMatch(/^Basic [^*]*\*+=*\.$/)
  })

  it('with spaces is masked where plus stands for them', () => {
    const passphrase = 'correct horse+battery staple'
    expect(masked(passphrase, 'p=correct+horse%2Bbattery+staple&x')).toBe(`p=${'*'.repeat(30)}&x`)
  })

  it('is counted once for each place, and each of ten thousand is masked', () => {
    const near = `${text.slice(0, -1)}x `
    const { text: shown, redactions } = maskText([secretOf(text)], near.repeat(10_000) + `${text};`.repeat(10_000))
    expect(redactions).toBe(10_000)
    expect(shown).toBe(near.repeat(10_000) + `${'*'.repeat(text.length)};`.repeat(10_000))
  })

  it('is masked for each of several secrets', () => {
    const other = 'another-secret-0123456789'
    expect(maskText([secretOf(text), secretOf(other)], `${text} ${other}`)).toEqual({
      text: `${'*'.repeat(text.length)} ${'*'.repeat(other.length)}`,
      redactions: 2,
    })
  })

  it('leaves what only begins or ends like it', () => {
    const whole = `${text.slice(0, -1)} ${text.slice(1)} ${encodeURIComponent(text.slice(0, -1))}`
    expect(masked(text, whole)).toBe(whole)
  })
})

describe('bytes are held back', () => {
  it('by position only: what goes when is the same whatever they say', () => {
    const secret = secretOf(text)
    const lengths = (value: string): number[] => {
      const chunks = Array.from(`${`${value} in a long line `.repeat(40)}\n${value}\n${value}`, (c) => Buffer.from(c))
      return pieces([secret], chunks).out.map(({ length }) => length)
    }
    const harmless = '#'.repeat(text.length)
    expect(lengths(text)).toEqual(lengths(harmless))
    expect(lengths(`${text.slice(0, -1)}#`)).toEqual(lengths(harmless))
  })

  it('so that whoever has his own bytes echoed, guess after guess, cannot tell a good one', () => {
    const secret = secretOf(text)
    const timing = (guess: string): number[] =>
      pieces([secret], [Buffer.from(guess), Buffer.from('\n')]).out.map((b) => b.length)
    for (let known = 0; known < text.length - 1; known++) {
      const right = `${text.slice(0, known)}${text[known]}`
      const wrong = `${text.slice(0, known)}~`
      expect(timing(right)).toEqual(timing(wrong))
      expect(masked(text, right)).toBe(right)
    }
  })

  it('to the end of their line and no further', () => {
    const masker = new Masker([secretOf(text)])
    expect(masker.push(Buffer.from('data: one')).toString()).toBe('')
    expect(masker.push(Buffer.from('\n\ndata: tw')).toString()).toBe('data: one\n\n')
    expect(masker.push(Buffer.from('o\r')).toString()).toBe('data: two\r')
  })

  it('for no more than the tail where there are no lines', () => {
    const masker = new Masker([secretOf(text)])
    let passed = 0
    for (let i = 0; i < 1000; i++) passed += masker.push(Buffer.alloc(1000, 'x')).length
    expect(1_000_000 - passed).toBe((text.length + 1) * 10)
  })
})

describe('over random secrets, texts and cuts', () => {
  const alphabet = fc.constantFrom(...Array.from('ab1/+=%\\&u0 ;#x'))
  const secrets = fc.oneof(
    fc.string({ unit: 'grapheme-ascii', minLength: 16, maxLength: 40 }),
    fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 4, maxLength: 9 }),
    fc.string({ unit: alphabet, minLength: 4, maxLength: 20 }),
  )
  const usable = secrets.filter((value) => typeof parseSecret(value, { unsafeShortSecret: true }) !== 'string')
  const noise = fc.oneof(
    fc.string({ unit: alphabet, maxLength: 12 }),
    fc.string({ unit: 'binary', maxLength: 12 }).map((value) => Buffer.from(value).toString('latin1')),
    fc.constantFrom('', '\n', '"', '\\', '%', '%2', '&#x', '&', ' '),
  )

  it('masks what a reader of the whole text would find, and nothing else', () => {
    fc.assert(
      fc.property(
        usable,
        fc.array(fc.tuple(noise, fc.nat(), fc.nat()), { maxLength: 6 }),
        noise,
        fc.array(fc.nat()),
        (value, parts, end, cuts) => {
          const whole = Buffer.from(
            parts.map(([before, which, seed]) => before + rendered(value, which, seed)).join('') + end,
            'latin1',
          )
          const { out } = pieces([secretOf(value)], cut(whole, cuts))
          const expected = Buffer.from(whole)
          for (const [from, to] of maskedBy(value, whole.toString('latin1'))) expected.fill('*', from, to)
          expect(Buffer.concat(out).toString('latin1')).toBe(expected.toString('latin1'))
          expect(masked(value, whole.toString('latin1'))).toBe(expected.toString('latin1'))
        },
      ),
      { numRuns: 2000 },
    )
  }, 60_000)

  it('masks every rendering between harmless neighbours, cut anywhere', () => {
    fc.assert(
      fc.property(usable, fc.nat(), fc.nat(), fc.array(fc.nat()), (value, which, seed, cuts) => {
        const whole = Buffer.from(`[${renderings[which % renderings.length]?.(value, seed) ?? ''}]`, 'latin1')
        const { out, count } = pieces([secretOf(value)], cut(whole, cuts))
        const shown = Buffer.concat(out).toString('latin1')
        expect(count).toBeGreaterThan(0)
        expect(shown).toHaveLength(whole.length)
        for (const render of renderings) expect(shown).not.toContain(render(value, seed))
      }),
      { numRuns: 2000 },
    )
  }, 60_000)

  /** A rendering, or one of it that lacks its end. */
  function rendered(value: string, which: number, seed: number): string {
    const full = renderings[which % renderings.length]?.(value, seed) ?? ''
    return seed % 5 === 0 ? full.slice(0, -1) : full
  }
})

it('a long line that comes in crumbs is the same line, and costs no more to hold', () => {
  const value = 'long-secret-'.repeat(300)
  const noise = 'some text that is not it, '.repeat(4000)
  const whole = Buffer.from(`${noise}${encodeURIComponent(value)}${noise}${value}`)
  for (const size of [1, 2, 7, 511, 513]) {
    const crumbs = Array.from({ length: Math.ceil(whole.length / size) }, (_, i) =>
      whole.subarray(i * size, (i + 1) * size),
    )
    const { out, count } = pieces([secretOf(value)], crumbs)
    expect(Buffer.concat(out).toString()).toBe(`${noise}${'*'.repeat(value.length)}${noise}${'*'.repeat(value.length)}`)
    expect(count).toBe(2)
  }
})

it('costs time by the byte, whatever repeats', () => {
  const value = `${'a'.repeat(4000)}b`
  const nearly = Buffer.from('a'.repeat(4_000_000))
  const masker = new Masker([secretOf(value)])
  const began = cpuMs()
  for (let i = 0; i < nearly.length; i += 65_536) masker.push(nearly.subarray(i, i + 65_536))
  masker.finish()
  // Comparing at each position anew would take a thousand times as long.
  expect(cpuMs() - began).toBeLessThan(5000)
  expect(masker.redactions).toBe(0)
})

function hex(character: string): string {
  return character.charCodeAt(0).toString(16).padStart(2, '0')
}
