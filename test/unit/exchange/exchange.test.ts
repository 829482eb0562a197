import { expect, it } from 'vitest'
import type { Answer } from '../../../src/exchange/answer.ts'
import type { Connection } from '../../../src/exchange/connection.ts'
import { Exchange } from '../../../src/exchange/exchange.ts'
import type { Incoming } from '../../../src/exchange/incoming.ts'
import type { Rooms } from '../../../src/exchange/rooms.ts'
import { deny } from '../../../src/policy/decision.ts'
import { authorityOf, factsOf } from './fixture.ts'

it.each([
  ['nothing more can be read from', true],
  ['can go on', false],
])('a refusal on a connection that %s says whether it is the last: %j', (_, poisoned) => {
  const said: string[] = []
  const answer = { status: null, last: false, beLast: () => said.push('last'), send: () => said.push('sent') }
  const connection = { poisoned, start: { userAgent: null } } as unknown as Connection
  const incoming = { head: { expectContinue: false }, answer: answer as unknown as Answer } as unknown as Incoming
  const facts = factsOf()
  facts.authority = authorityOf('denied.test:443')
  const exchange = new Exchange({} as unknown as Rooms, connection, incoming, facts)
  expect(exchange.reply(deny('host_not_allowed', 'denied.test'))).toBe(403)
  expect(said).toEqual(poisoned ? ['last', 'sent'] : ['sent'])
})
