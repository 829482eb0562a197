import { expect, it } from 'vitest'
import type { ExchangeRecord } from '../../../src/exchange/record.ts'
import { createRecordSink, type RecordSinks } from '../../../src/telemetry/record-sinks.ts'
import { recordSample } from './record-sample.ts'

type Heard = { readonly sink: string; readonly what: unknown }

function sinks(broken: readonly string[] = []): { sinks: RecordSinks; heard: Heard[] } {
  const heard: Heard[] = []
  const hear = (sink: string) => (what: unknown, message?: string) => {
    heard.push({ sink, what: message ?? (what as ExchangeRecord).decisionId })
    if (broken.includes(sink)) throw new Error(`${sink} is broken`)
  }
  return {
    heard,
    sinks: {
      audit: { accepting: () => true, append: hear('audit') },
      metrics: { observe: hear('metrics') },
      recent: { append: hear('recent') },
      log: { debug: hear('debug'), info: hear('info'), warn: hear('warn'), error: hear('error') },
    },
  }
}

it('a record reaches all, the audit log first', () => {
  const { sinks: joined, heard } = sinks()
  createRecordSink(joined).append(recordSample())
  expect(heard.map(({ sink }) => sink)).toEqual(['audit', 'metrics', 'recent', 'debug'])
})

it.each(['audit', 'metrics', 'recent', 'debug', 'error'])('a broken %s loses the record for nobody else', (broken) => {
  const { sinks: joined, heard } = sinks([broken, 'debug'])
  createRecordSink(joined).append(recordSample())
  expect(heard.map(({ sink }) => sink)).toEqual(
    expect.arrayContaining(['audit', 'metrics', 'recent', 'debug', 'error']),
  )
})

it.each<[ExchangeRecord['outcome'], string]>([
  ['abandoned', 'debug'],
  ['allow', 'debug'],
  ['audit', 'info'],
  ['challenge', 'debug'],
  ['deny', 'info'],
  ['failed', 'info'],
  ['fault', 'error'],
  ['interrupted', 'info'],
])('the outcome %s is told as %s', (outcome, level) => {
  const { sinks: joined, heard } = sinks()
  createRecordSink(joined).append(recordSample({ outcome }))
  expect(heard.at(-1)).toEqual({ sink: level, what: outcome })
})

it('an open record is in the audit log and not in the log of the gateway', () => {
  const { sinks: joined, heard } = sinks()
  createRecordSink(joined).append(recordSample({ event: 'open' }))
  expect(heard.map(({ sink }) => sink)).toEqual(['audit', 'metrics', 'recent'])
})

it('whether anything new may be allowed is for the audit log to say', () => {
  const { sinks: joined } = sinks()
  expect(createRecordSink({ ...joined, audit: { accepting: () => false, append: () => undefined } }).accepting()).toBe(
    false,
  )
})
