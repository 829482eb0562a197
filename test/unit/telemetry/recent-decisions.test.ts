import { expect, it } from 'vitest'
import type { ExchangeRecord } from '../../../src/exchange/record.ts'
import { createRecentDecisions, type DecisionFilter, type Fallen } from '../../../src/telemetry/recent-decisions.ts'
import { recordAndLine } from './record-sample.ts'

function filled(count: number, recordsMax: number) {
  const recent = createRecentDecisions({ recordsMax, run: 'run' })
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
  ['labels, of lines that may not be visible', { labels: { team: 'b' }, visible: () => true }, []],
  ['all at once', { session: 'even', outcome: 'allow', host: 'h2.example', limit: 1 }, ['d-2']],
])('filters by %s', (_, filter, expected) => {
  expect(
    filled(8, 10)
      .list(filter)
      .map(({ decisionId }) => decisionId),
  ).toEqual(expected)
})

it('an open record is told live and not kept: its final one is', () => {
  const recent = createRecentDecisions({ recordsMax: 4, run: 'run' })
  const heard: string[] = []
  recent.subscribe(({ record }) => heard.push(record.event))
  recent.append(...recordAndLine({ event: 'open' }))
  recent.append(...recordAndLine())
  expect(heard).toEqual(['open', 'final'])
  expect(recent.list()).toHaveLength(1)
})

it('a listener that throws costs the others nothing, and one that left hears nothing', () => {
  const recent = createRecentDecisions({ recordsMax: 4, run: 'run' })
  const heard: ExchangeRecord[] = []
  const listener = ({ record }: Fallen) => void heard.push(record)
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

const all = () => true
const idsAfter = (recent: ReturnType<typeof filled>, place: string, passes = all, bytesMax = 1_000_000) => {
  const { fallen, complete } = recent.after(place, passes, bytesMax)
  return [fallen.map(({ record }) => record.decisionId), complete]
}

it('a place is where what fell later begins', () => {
  const recent = createRecentDecisions({ recordsMax: 10, run: 'run' })
  const places: string[] = []
  recent.subscribe(({ place }) => places.push(place))
  for (const decisionId of ['d-0', 'd-1', 'd-2']) recent.append(...recordAndLine({ decisionId }))
  recent.append(...recordAndLine({ decisionId: 'd-3', event: 'open' }))
  expect(places.map((place) => idsAfter(recent, place))).toEqual([
    [['d-1', 'd-2'], true],
    [['d-2'], true],
    [[], true],
    [[], true],
  ])
})

it.each([
  ['of all that is kept', 'run-4', all, 1_000_000, [['d-4', 'd-5', 'd-6', 'd-7'], true]],
  ['of more than is kept', 'run-3', all, 1_000_000, [['d-4', 'd-5', 'd-6', 'd-7'], false]],
  [
    'of what one may see',
    'run-4',
    ({ session }: ExchangeRecord) => session === 'odd',
    1_000_000,
    [['d-5', 'd-7'], true],
  ],
  ['of what fits', 'run-4', all, 1000, [['d-7'], false]],
  ['of another run', 'old-4', all, 1_000_000, [[], false]],
  ['of what is to come', 'run-99', all, 1_000_000, [[], true]],
  ['of no place', 'nonsense', all, 1_000_000, [[], false]],
] as const)('behind a place %s', (_what, place, passes, bytesMax, expected) => {
  expect(idsAfter(filled(8, 4), place, passes as typeof all, bytesMax)).toEqual(expected)
})
