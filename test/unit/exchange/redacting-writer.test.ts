import zlib from 'node:zlib'
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseSecret } from '../../../src/credentials/secret.ts'
import { isBomb } from '../../../src/exchange/content-coding.ts'
import { RedactingWriter } from '../../../src/exchange/redacting-writer.ts'
import type { ResponseHead } from '../../../src/net/response-head.ts'
import { FailureError } from '../../../src/upstream/failure.ts'
import type { ResponseWriter } from '../../../src/upstream/forward-request.ts'
import { renderings } from '../credentials/masker-model.ts'

const secretText = 'sk-real-0123456789'

/** A client that takes nothing more once `full`. */
function bench(method = 'GET', text = secretText, parts = false) {
  const heard = {
    head: null as ResponseHead | null,
    bytes: [] as Buffer[],
    interim: [] as ResponseHead[],
    ended: false,
    full: false,
  }
  let drained: () => void = () => undefined
  const inner: ResponseWriter = {
    interim: (head) => void heard.interim.push(head),
    start: (head) => {
      heard.head = head
    },
    write: (chunk) => {
      heard.bytes.push(chunk)
      return !heard.full
    },
    end: () => {
      heard.ended = true
      return undefined
    },
    abort: () => undefined,
    onDrain: (listener) => {
      drained = listener
    },
  }
  const secret = parseSecret(text, { unsafeShortSecret: false })
  if (typeof secret === 'string') throw new Error(secret)
  const failures: string[] = []
  const onFailure = (): void => void failures.push('failed')
  const masked: number[] = []
  const onMasked = (places: number): void => void masked.push(places)
  const writer = new RedactingWriter({ inner, secrets: [secret], method, parts, onMasked, onFailure })
  return { heard, writer, failures, masked, drain: () => drained(), size: () => Buffer.concat(heard.bytes).length }
}

const head = (...fields: string[]): ResponseHead => ({ status: 200, reason: 'OK', fields, bytes: 0 })

describe('an answer that is packed', () => {
  it('waits while the client does, and goes on when it does', async () => {
    const { writer, heard, drain, size } = bench()
    let asked = 0
    writer.onDrain(() => asked++)
    writer.start(head('Content-Encoding', 'gzip'))
    heard.full = true
    // Packs a thousand to one: what is let through at once must not depend on that.
    const packed = zlib.gzipSync(Buffer.alloc(30 * 1024 * 1024, 'line\n'))
    writer.write(packed)
    const end = writer.end()
    await delay(300)
    expect(size()).toBeLessThan(256 * 1024)
    heard.full = false
    drain()
    await end
    expect(size()).toBe(30 * 1024 * 1024)
    expect(heard.ended).toBe(true)
  })

  it('asks for more of it when there is room', async () => {
    const { writer } = bench()
    const drained = new Promise<void>((resolve) => writer.onDrain(resolve))
    writer.start(head('Content-Encoding', 'gzip'))
    const packed = zlib.gzipSync(Buffer.alloc(200_000), { level: 0 })
    expect(writer.write(packed)).toBe(false)
    await drained
    writer.close()
  })

  it('and has nothing in it ends at once', () => {
    const { writer, heard } = bench()
    writer.start(head('Content-Encoding', 'br', 'Content-Length', '0'))
    expect(writer.end()).toBeUndefined()
    expect(heard).toMatchObject({ ended: true, head: { fields: [] } })
  })

  it.each<readonly [string, (body: string) => Buffer]>([
    ['deflate', zlib.deflateSync],
    ['br', zlib.brotliCompressSync],
    ['gzip', zlib.gzipSync],
    ['zstd', zlib.zstdCompressSync],
  ])('in %s, with more behind its end, is given up, whenever that comes', async (coding, encode) => {
    for (const wait of [true, false]) {
      const { writer, failures, heard } = bench()
      writer.start(head('Content-Encoding', coding))
      writer.write(encode('said'))
      if (wait) for (let i = 0; i < 20; i++) await nextTurn()
      writer.write(Buffer.from('and more'))
      if (wait) for (let i = 0; i < 20; i++) await nextTurn()
      void writer.end()
      await expect.poll(() => failures).toEqual(['failed'])
      expect(heard.ended).toBe(false)
    }
  })

  it.each<readonly [string, (body: string) => Buffer]>([
    ['gzip', zlib.gzipSync],
    ['zstd', zlib.zstdCompressSync],
  ])('in several members of %s is one', async (coding, encode) => {
    const { writer, heard } = bench()
    writer.start(head('Content-Encoding', coding))
    writer.write(encode(secretText.slice(0, 7)))
    writer.write(encode(secretText.slice(7)))
    await writer.end()
    expect(Buffer.concat(heard.bytes).toString()).toBe('*'.repeat(18))
  })

  it('beyond all measure is given up', async () => {
    const { writer, failures, heard } = bench()
    writer.start(head('Content-Encoding', 'gzip'))
    writer.write(zlib.gzipSync(Buffer.alloc(40 * 1024 * 1024)))
    await expect.poll(() => failures, { timeout: 10_000 }).toEqual(['failed'])
    expect(writer.failure).toMatchObject({ code: 'origin_unsearchable' })
    expect(heard.ended).toBe(false)
  })

  it.each([
    [1000, 1000 * 1000, false],
    [2 ** 20, 2 ** 26, false],
    [2 ** 20, 2 ** 28 + 1, true],
  ])('%i bytes that become %i: a bomb is %s', (coded, decoded, bomb) => {
    expect(isBomb(coded, decoded)).toBe(bomb)
  })
})

it('a head without the secret is passed on as it is', () => {
  const { writer, heard } = bench('HEAD')
  const whole = head('Content-Encoding', 'gzip', 'ETag', '"a"')
  writer.start(whole)
  expect(heard.head).toBe(whole)
})

it('heads before the answer are searched like the answer', () => {
  const { writer, heard, masked } = bench()
  const harmless = { ...head('Link', '<x>'), status: 103 }
  writer.interim(harmless)
  writer.interim({ ...head('Link', `<${secretText}>`), status: 103, reason: secretText })
  writer.start(head('X-Echo', secretText))
  const stars = '*'.repeat(18)
  expect(heard.interim).toEqual([harmless, { ...harmless, reason: stars, fields: ['Link', `<${stars}>`] }])
  expect(masked).toEqual([2, 1])
  expect(writer.redactions).toBe(3)
})

it('places masked are told once each, when they have gone on', () => {
  const { writer, masked, heard } = bench()
  writer.start(head('X-Echo', secretText, 'X-Other', 'none'))
  expect(masked).toEqual([1])
  writer.write(Buffer.from(`${secretText} ${secretText}`))
  expect(masked).toEqual([1, 2])
  writer.write(Buffer.from('\nno more\n'))
  writer.write(Buffer.from(secretText.slice(0, 9)))
  writer.write(Buffer.from(secretText.slice(9)))
  void writer.end()
  expect(masked).toEqual([1, 2, 1])
  expect(writer.redactions).toBe(4)
  expect(heard.ended).toBe(true)
})

describe('a part of an answer', () => {
  const part = (...fields: string[]): ResponseHead => ({ ...head(...fields), status: 206 })

  it('passes where it may, and is searched', () => {
    const { writer, heard } = bench('GET', secretText, true)
    writer.start(part('Content-Range', 'bytes 0-9/90'))
    writer.write(Buffer.from(secretText))
    void writer.end()
    expect(Buffer.concat(heard.bytes).toString()).toBe('*'.repeat(18))
  })

  it.each([
    ['that nobody asked for', false, part()],
    ['of something coded', true, part('Content-Encoding', 'gzip')],
    ['in a coding that we cannot undo', true, part('Content-Encoding', 'dcz')],
  ])('%s does not', (_, parts, answer) => {
    const { writer, heard } = bench('GET', secretText, parts)
    expect(() => writer.start(answer)).toThrow(FailureError)
    expect(heard.head).toBeNull()
  })
})

it('what is held back asks nobody to wait', () => {
  const { writer, heard } = bench()
  writer.start(head())
  heard.full = true
  expect(writer.write(Buffer.from(secretText))).toBe(true)
  expect(writer.write(Buffer.from('\n'))).toBe(false)
  expect(Buffer.concat(heard.bytes).toString()).toBe(`${'*'.repeat(18)}\n`)
  expect(writer.redactions).toBe(1)
})

it('whatever the secret, its rendering, the coding and the pieces: no byte of it goes through', async () => {
  const codings: Readonly<Record<string, (body: Buffer) => Buffer>> = {
    identity: (body) => body,
    gzip: zlib.gzipSync,
    deflate: zlib.deflateSync,
    br: (body) => zlib.brotliCompressSync(body, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } }),
    zstd: zlib.zstdCompressSync,
  }
  const secrets = fc
    .string({ unit: 'grapheme-ascii', minLength: 16, maxLength: 90 })
    .filter((text) => typeof parseSecret(text, { unsafeShortSecret: false }) !== 'string')
  await fc.assert(
    fc.asyncProperty(
      secrets,
      fc.nat(),
      fc.nat(),
      fc.constantFrom(...Object.keys(codings)),
      fc.integer({ min: 1, max: 40 }),
      fc.string(),
      async (text, which, seed, coding, step, around) => {
        const rendered = renderings[which % renderings.length]?.(text, seed) ?? ''
        const body = Buffer.from(`${Buffer.from(around).toString('hex')}["${rendered}"]`, 'latin1')
        const coded = codings[coding]?.(body) ?? body
        const { writer, heard } = bench('GET', text)
        writer.start(head('Content-Encoding', coding, 'X-Echo', rendered))
        for (let at = 0; at < coded.length; at += step) writer.write(Buffer.from(coded.subarray(at, at + step)))
        await writer.end()
        const shown = Buffer.concat(heard.bytes).toString('latin1')
        expect(shown).toHaveLength(body.length)
        for (const said of [shown, heard.head?.fields.join('\n') ?? ''])
          for (const render of renderings) expect(said).not.toContain(render(text, seed))
      },
    ),
    { numRuns: 400 },
  )
})
