import { expect, it } from 'vitest'
import type { ExchangeRecord } from '../../../src/exchange/record.ts'
import { createRecentDecisions, type DecisionFilter } from '../../../src/telemetry/recent-decisions.ts'
import { recordAndLine } from './record-sample.ts'

function filled(count: number, recordsMax: number) {
  const recent = createRecentDecisions({ recordsMax })
  for (let i = 0; i < count; i++)
    recent.append(
      ...recordAndLine({
        decisionId: `d-${i}`,
        session: i % 2 === 0 ? 'even' : 'odd',
        host: `h${i % 3}.example`,
        outcome: i % 4 === 0 ? 'deny' : 'allow',
        time: `2026-03-01T12:00:0${i}.000Z`,
      }),
    )
  return recent
}

it.each([
  [0, []],
  [2, ['d-1', 'd-0']],
  [4, ['d-3', 'd-2', 'd-1', 'd-0']],
  [5, ['d-4', 'd-3', 'd-2', 'd-1']],
  [9, ['d-8', 'd-7', 'd-6', 'd-5']],
])('of %i records a ring of four holds the last, newest first', (count, expected) => {
  expect(
    filled(count, 4)
      .list()
      .map(({ decisionId }) => decisionId),
  ).toEqual(expected)
})

it.each<[string, DecisionFilter, string[]]>([
  ['session', { session: 'odd' }, ['d-7', 'd-5', 'd-3', 'd-1']],
  ['outcome', { outcome: 'deny' }, ['d-4', 'd-0']],
  ['host', { host: 'h1.example' }, ['d-7', 'd-4', 'd-1']],
  ['since, that moment included', { since: '2026-03-01T12:00:06Z' }, ['d-7', 'd-6']],
  ['since, in another time zone', { since: '2026-03-01T13:00:06+01:00' }, ['d-7', 'd-6']],
  ['since, when it is no time', { since: 'yesterday' }, []],
  ['limit, newest first', { limit: 2 }, ['d-7', 'd-6']],
  ['limit of what is visible', { limit: 2, visible: ({ session }) => session === 'even' }, ['d-6', 'd-4']],
  ['all at once', { session: 'even', outcome: 'allow', host: 'h2.example', limit: 1 }, ['d-2']],
])('filters by %s', (_, filter, expected) => {
  expect(
    filled(8, 10)
      .list(filter)
      .map(({ decisionId }) => decisionId),
  ).toEqual(expected)
})

it('an open record is told live and not kept: its final one is', () => {
  const recent = createRecentDecisions({ recordsMax: 4 })
  const heard: string[] = []
  recent.subscribe(({ event }) => heard.push(event))
  recent.append(...recordAndLine({ event: 'open' }))
  recent.append(...recordAndLine())
  expect(heard).toEqual(['open', 'final'])
  expect(recent.list()).toHaveLength(1)
})

it('a listener that throws costs the others nothing, and one that left hears nothing', () => {
  const recent = createRecentDecisions({ recordsMax: 4 })
  const heard: ExchangeRecord[] = []
  const listener = (record: ExchangeRecord) => void heard.push(record)
  recent.subscribe(() => {
    throw new Error('gone')
  })
  const leave = recent.subscribe(listener)
  recent.subscribe(listener)
  recent.append(...recordAndLine())
  expect(heard).toHaveLength(2)
  leave()
  recent.append(...recordAndLine())
  expect(heard).toHaveLength(3)
})
