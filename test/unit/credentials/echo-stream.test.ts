/**
 * The attack of decision 34: whoever reaches an origin that says back what it is sent streams guesses, and watches how much
 * of each comes back at once. A proxy that holds on to whatever may be the beginning of a secret tells him how far he is right.
 */

import { describe, expect, it } from 'vitest'
import { Masker } from '../../../src/credentials/redact/masker.ts'
import { parseSecret } from '../../../src/credentials/secret.ts'

const text = 'sk-4f1c0d2e9b7a'.padEnd(24, '8')
const alphabet = Array.from('0123456789abcdefghijklmnopqrstuvwxyz-')

/** How many bytes come back at once when these were sent, on a stream of their own, with nothing behind them. */
type Echo = (bytes: Buffer) => number

/** Holds back by content: the longest end of what came that the secret begins with. */
const holdingByContent: Echo = (bytes) => {
  const said = bytes.toString('latin1')
  for (let length = Math.min(text.length - 1, said.length); length > 0; length--)
    if (text.startsWith(said.slice(-length))) return said.length - length
  return said.length
}

const ours: Echo = (bytes) => {
  const secret = parseSecret(text, { unsafeShortSecret: false })
  if (typeof secret === 'string') throw new Error(secret)
  return new Masker([secret]).push(Buffer.from(bytes)).length
}

/** What comes back at once of each way to go on with what is known. */
function guesses(echo: Echo, known: string, before: string, after: string): number[] {
  return alphabet.map((letter) => echo(Buffer.from(`${before}${known}${letter}${after}`, 'latin1')))
}

/** Letter by letter: of which guess least comes back, that is the right one. */
function recover(echo: Echo, before = '', after = ''): string {
  let known = ''
  while (known.length < text.length - 1) {
    const heard = guesses(echo, known, before, after)
    const least = alphabet.filter((_, i) => heard[i] === Math.min(...heard))
    if (least.length !== 1) return known
    known += least[0]
  }
  return known
}

describe('an echo stream', () => {
  it('recovers the secret from whoever holds back what looks like the beginning of it', () => {
    expect(recover(holdingByContent)).toBe(text.slice(0, -1))
  })

  it.each([
    ['alone', '', ''],
    ['behind a line', 'a line\n', ''],
    ['behind so much that bytes are let go', '#'.repeat(10_000), ''],
    ['with bytes behind it', '#'.repeat(300), '#'.repeat(40)],
    ['with an event behind it', 'data: ', '\n\ndata: '],
    ['in percent-encoding', '%', ''],
    ['in JSON', '"\\u00', ''],
    ['in base64', 'Basic ', '='],
  ])('recovers nothing from us: %s', (_, before, after) => {
    expect(recover(ours, before, after)).toBe('')
    for (let known = 0; known < text.length - 1; known++)
      expect(new Set(guesses(ours, text.slice(0, known), before, after)).size).toBe(1)
  })
})
