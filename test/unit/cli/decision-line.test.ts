import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { bytesText, decisionLine } from '../../../src/cli/decision-line.ts'
import type { Paint } from '../../../src/cli/paint.ts'
import { recordOf } from './record.ts'

const plain: Paint = (_style, text) => text

test.each([
  [
    'an allowed request',
    recordOf(),
    '05:06:07.250  allow      s-7  GET https://api.example.org/v1  200  12 ms  up 100 B down 2.0 KiB  [d-1]',
  ],
  [
    'a denied one',
    recordOf({ outcome: 'deny', reason: 'host_not_allowed', status: 403 }),
    '05:06:07.250  DENY       s-7  GET https://api.example.org/v1  host_not_allowed  [d-1]',
  ],
  [
    'a loop',
    recordOf({ outcome: 'deny', reason: 'host_not_allowed', repeated: 90 }),
    '05:06:07.250  DENY       s-7  GET https://api.example.org/v1  host_not_allowed  x90  [d-1]',
  ],
  [
    'audit mode',
    recordOf({ outcome: 'audit', reason: 'host_not_allowed', credentials: ['x'] }),
    '05:06:07.250  audit      s-7  GET https://api.example.org/v1  would be host_not_allowed  200  12 ms  up 100 B down 2.0 KiB  with x  [d-1]',
  ],
  [
    'a tunnel that opens',
    recordOf({ event: 'open', kind: 'tunnel', method: null, path: null, status: null }),
    '05:06:07.250  open       s-7  TUNNEL api.example.org:443  [d-1]',
  ],
  [
    'a challenge without a session',
    recordOf({ outcome: 'challenge', session: null, status: 407, kind: 'connect', host: null, port: null }),
    '05:06:07.250  challenge  -  CONNECT (unknown)  407  12 ms  up 100 B down 2.0 KiB  [d-1]',
  ],
])('%s', (_name, record, expected) => {
  expect(decisionLine(record, plain)).toBe(expected)
})

test('whatever a sandbox sends, a record is one line of visible characters', () => {
  const text = fc.string({ unit: fc.nat(0x2fff).map((code) => String.fromCharCode(code)), maxLength: 16 })
  fc.assert(
    fc.property(text, text, text, (path, method, host) => {
      const line = decisionLine(recordOf({ path, method, host }), plain)
      expect(line).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u)
    }),
  )
})

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1536, '1.5 KiB'],
  [5 * 2 ** 20, '5.0 MiB'],
  [3 * 2 ** 30, '3.00 GiB'],
])('%i bytes are %s', (bytes, expected) => {
  expect(bytesText(bytes)).toBe(expected)
})
