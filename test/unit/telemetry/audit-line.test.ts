import { assert, property, string } from 'fast-check'
import { expect, it } from 'vitest'
import { auditLine, linePrefix } from '../../../src/telemetry/audit-line.ts'
import { recordSample } from './record-sample.ts'

it.each([
  ['a forged second line', '/a\n{"outcome":"allow"}'],
  ['a carriage return', '/a\rb'],
  ['a terminal escape', '/\u001b[2J'],
  ['the line separator of JavaScript', '/\u2028\u2029'],
  ['NUL', '/\u0000'],
  ['DEL and C1 controls', '/\u007f\u009b2J'],
  ['a lone surrogate', '/\ud800x'],
  ['a byte that is no UTF-8', '/\u00ff'],
  ['quotes and backslashes', '/"\\'],
  ['an emoji', '/\u{1f6aa}'],
])('%s stays inside its own string and comes back unchanged (LOG-01)', (_, path) => {
  const record = recordSample({ path, detail: path, labels: { [path]: path }, host: path })
  const line = auditLine(record)
  expect(line).toMatch(/^[ -~]+$/)
  expect(JSON.parse(line)).toEqual(record)
})

it('any text makes one line of printable ASCII that reads back as itself', () => {
  assert(
    property(string({ unit: 'binary' }), (text) => {
      const line = auditLine(recordSample({ path: text, method: text }))
      expect(line).toMatch(/^[ -~]+$/)
      expect(JSON.parse(line)).toMatchObject({ path: text, method: text })
    }),
    { numRuns: 200 },
  )
})

it('begins with the event and the decision, which the repair relies on', () => {
  for (const event of ['final', 'open'] as const)
    expect(auditLine(recordSample({ event, decisionId: 'd-9' }))).toMatch(
      new RegExp(`^${linePrefix[event].replaceAll(/[{}]/g, '\\$&')}"d-9"`),
    )
})

it('writes only the fields of a record, also where an object holds more', () => {
  const line = auditLine({ ...recordSample(), secret: 'canary-0123456789' } as ReturnType<typeof recordSample>)
  expect(line).not.toContain('canary')
})

it('rounds durations to a microsecond and keeps what was not measured as null', () => {
  const durations = { total: 1.23456789, decide: null, connect: 0, firstByte: 0.0004 }
  expect(JSON.parse(auditLine(recordSample({ durations })))).toMatchObject({
    durations: { total: 1.235, decide: null, connect: 0, firstByte: 0 },
  })
})
