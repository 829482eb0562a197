/** `logs -f` through lost connections. */

import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { createControlClient, parseControlTarget } from '../../src/cli/control-client.ts'
import { followDecisions } from '../../src/cli/follow-decisions.ts'
import type { ExchangeRecord } from '../../src/exchange/record.ts'
import { recordOf } from '../unit/cli/record.ts'

const deny = (decisionId: string): ExchangeRecord =>
  recordOf({ decisionId, outcome: 'deny', reason: 'host_not_allowed' })
const eventOf = (record: ExchangeRecord): string => `event: decision\ndata: ${JSON.stringify(record)}\n\n`

/** An API that has these records, newest first, and streams as the test says. */
async function api(options: {
  readonly kept: (connection: number) => readonly ExchangeRecord[]
  readonly stream: (connection: number, response: ServerResponse) => void
}): Promise<AsyncDisposable & { readonly address: string; readonly asked: readonly string[] }> {
  let connections = 0
  const asked: string[] = []
  const server = createServer((request, response) => {
    const { url = '' } = request
    asked.push(`${url} ${request.headers.authorization ?? ''}`)
    if (url.startsWith('/v1/decisions/stream')) {
      options.stream(++connections, response)
      return
    }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ decisions: options.kept(connections) }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const opened: AsyncDisposable[] = []
afterEach(async () => {
  for (const one of opened.splice(0)) await one[Symbol.asyncDispose]()
})

function follow(address: string, limit: number) {
  const target = parseControlTarget(address)
  if (target === null) throw new Error(address)
  const printed: string[] = []
  const said: string[] = []
  const stop = new AbortController()
  const end = followDecisions({
    client: createControlClient(target, 'the-token'),
    wanted: { session: undefined, host: undefined, outcome: 'deny' },
    limit,
    print: ({ decisionId }) => printed.push(decisionId),
    say: (text) => said.push(text),
    signal: stop.signal,
    retryMs: 10,
  })
  return { printed, said, stop, end }
}

it('goes on after a lost connection, with what was missed, and shows nothing twice', async () => {
  const kept = [
    [],
    [deny('d-3'), deny('d-2'), deny('d-1')],
    [deny('d-5'), deny('d-4'), deny('d-3'), deny('d-2'), deny('d-1')],
  ]
  const stand = await api({
    kept: (connection) => kept[connection] ?? [],
    stream: (connection, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(': open\n\n')
      if (connection === 1) setTimeout(() => response.end(eventOf(deny('d-4'))), 50)
      else
        setTimeout(
          () => response.write(`${eventOf(deny('d-5'))}event: missed\ndata: {"count":2}\n\n${eventOf(deny('d-6'))}`),
          50,
        )
    },
  })
  opened.push(stand)
  const { printed, said, stop, end } = follow(stand.address, 2)
  await expect.poll(() => printed).toEqual(['d-2', 'd-3', 'd-4', 'd-5', 'd-6'])
  expect(said.join('')).toMatch(/connecting again\n.*left out records: \{"count":2\}/s)
  expect(stand.asked[0]).toBe('/v1/decisions/stream?outcome=deny Bearer the-token')
  stop.abort()
  expect(await end).toBe(0)
})

it('ends when the gateway no longer takes the token', async () => {
  const stand = await api({
    kept: () => [],
    stream: (connection, response) => {
      response.writeHead(connection === 1 ? 200 : 401, { 'content-type': 'application/problem+json' })
      response.end(connection === 1 ? ': open\n\n' : '{"title":"A control token is needed","detail":"send one"}')
    },
  })
  opened.push(stand)
  const { end } = follow(stand.address, 10)
  await expect(end).rejects.toThrow('A control token is needed: send one')
})

it('a gateway that is not there at the start is an error at once', async () => {
  const { end } = follow('127.0.0.1:1', 10)
  await expect(end).rejects.toThrow('no gateway answers at http://127.0.0.1:1')
})
