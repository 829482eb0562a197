import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ControlBench, createControlBench, recordOf, secretOf } from '../unit/control/fixture.ts'

let api: ControlBench
beforeEach(async () => {
  api = await createControlBench({ heartbeatMs: 20, streamsMax: 3, streamsPerTokenMax: 2 })
})
afterEach(() => api.close())

async function openStream(query = '', as = 'platform', last?: string) {
  const abort = new AbortController()
  const headers = { authorization: `Bearer ${secretOf(as)}`, ...(last !== undefined && { 'last-event-id': last }) }
  const response = await fetch(`${api.url}/v1/decisions/stream${query}`, { headers, signal: abort.signal })
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  const until = async (wanted: string): Promise<string> => {
    while (!text.includes(wanted)) {
      const piece = await reader?.read()
      if (piece === undefined || piece.done) return text
      text += piece.value
    }
    return text
  }
  return { response, until, abort: () => abort.abort() }
}

const publish = (...args: Parameters<typeof recordOf>): void => {
  const record = recordOf(...args)
  for (const listener of api.listeners) listener({ record, line: JSON.stringify(record), place: 'run-7' })
}

describe('GET /v1/decisions', () => {
  it('hands on its filters', async () => {
    api.records.push(recordOf({ host: 'a.example' }), recordOf({ host: 'b.example' }))
    const answer = await api.call('GET', '/v1/decisions?host=b.example&limit=5', { as: 'viewer' })
    expect(answer.body.decisions.map(({ host }) => host)).toEqual(['b.example'])
  })

  it.each(['outcome=yes', 'since=yesterday', 'since=2027-13-45T00:00:00Z', 'limit=0', 'limit=-1', 'hots=x', 'host='])(
    'refuses ?%s',
    async (query) => {
      const answer = await api.call('GET', `/v1/decisions?${query}`, { as: 'viewer' })
      expect([answer.status, answer.body.code]).toEqual([400, 'invalid_request'])
    },
  )

  it.each(['outcome=deny', 'since=2027-01-15T08:00:00Z', 'since=2027-01-15T08:00:00.123%2B01:00', 'session=s-1'])(
    'takes ?%s',
    async (query) => {
      expect((await api.call('GET', `/v1/decisions?${query}`, { as: 'viewer' })).status).toBe(200)
    },
  )
})

describe('GET /v1/decisions/stream', () => {
  it('sends each decision as it falls, one line of data whatever is in it', async () => {
    const stream = await openStream()
    expect(stream.response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(stream.response.headers.get('cache-control')).toBe('no-store')
    await stream.until(': open')
    publish({ decisionId: 'd-7', path: '/a\n\ndata: {"forged":1}\r\n' })
    const text = await stream.until('"repeated":1}\n\n')
    expect(text).toContain('event: decision\nid: run-7\ndata: {"event":"final"')
    expect(text.split('\n').filter((line) => line.startsWith('data:'))).toHaveLength(1)
    stream.abort()
  })

  it('beats while nothing happens', async () => {
    const stream = await openStream()
    expect(await stream.until(': still here')).toContain(': still here\n\n')
    stream.abort()
  })

  it('filters, and shows a caller with labels only what carries them', async () => {
    const stream = await openStream('?outcome=deny', 'team-a')
    await stream.until(': open')
    publish({ decisionId: 'd-1', labels: { team: 'a' } })
    publish({ decisionId: 'd-2', outcome: 'deny', labels: { team: 'b' } })
    publish({ decisionId: 'd-3', outcome: 'deny' })
    publish({ decisionId: 'd-4', outcome: 'deny', labels: { team: 'a' } })
    const text = await stream.until('d-4')
    expect(text).not.toMatch(/d-[123]/)
    stream.abort()
  })

  it('opens so many and no more, of one token and of all, and a reader that leaves makes room', async () => {
    const [first, second] = [await openStream(), await openStream()]
    const third = await api.call('GET', '/v1/decisions/stream', { as: 'platform' })
    expect([third.status, third.body.code]).toEqual([503, 'too_many_streams'])
    const other = await openStream('', 'team-a')
    expect([other.response.status, (await api.call('GET', '/v1/decisions/stream', { as: 'viewer' })).status]).toEqual([
      200, 503,
    ])
    first.abort()
    while (api.listeners.size > 2) await sleep(5)
    const fourth = await openStream()
    expect(fourth.response.status).toBe(200)
    for (const one of [second, other, fourth]) one.abort()
  })

  it('begins with what fell since the last event that was had, of what the caller may see', async () => {
    api.records.push(recordOf({ decisionId: 'd-1', labels: { team: 'a' } }), recordOf({ decisionId: 'd-2' }))
    const stream = await openStream('', 'team-a', 'run-1')
    await stream.until('d-1')
    publish({ decisionId: 'd-3', labels: { team: 'a' } })
    const text = await stream.until('d-3')
    expect(text).toMatch(/d-1[^]*d-3/)
    expect(text).not.toMatch(/d-2|event: missed/)
    stream.abort()
  })

  it('says when not all of that is known', async () => {
    const stream = await openStream('', 'platform', 'other-1')
    expect(await stream.until('missed')).toContain('event: missed\ndata: {"count":null}\n\n')
    stream.abort()
  })

  it('lets go of a reader that takes nothing', async () => {
    await api.close()
    api = await createControlBench({ heartbeatMs: 20, streamStalledMs: 100 })
    const socket: Socket = connect(Number(new URL(api.url).port), '127.0.0.1')
    socket.pause()
    socket.on('error', () => socket.destroy())
    const auth = `Authorization: Bearer ${secretOf('platform')}`
    socket.write(`GET /v1/decisions/stream HTTP/1.1\r\nHost: localhost\r\n${auth}\r\n\r\n`)
    while (api.listeners.size === 0) await sleep(5)
    // Full: the buffers of both sockets, and ours.
    const path = `/${'x'.repeat(100_000)}`
    while (api.listeners.size > 0) {
      for (let n = 0; n < 20; n++) publish({ path })
      await sleep(5)
    }
    socket.destroy()
  })

  it('keeps a bounded backlog for a reader that does not read, and tells it what it missed', async () => {
    const socket: Socket = connect(Number(new URL(api.url).port), '127.0.0.1')
    socket.pause()
    const auth = `Authorization: Bearer ${secretOf('platform')}`
    socket.write(`GET /v1/decisions/stream HTTP/1.1\r\nHost: localhost\r\n${auth}\r\n\r\n`)
    while (api.listeners.size === 0) await sleep(5)
    const path = `/${'x'.repeat(8000)}`
    const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed
    for (let round = 0; round < 40; round++) {
      for (let n = 0; n < 100; n++) publish({ path })
      await sleep(1)
    }
    const grown = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed - before
    expect(grown).toBeLessThan(24 * 1024 * 1024)
    let text = ''
    socket.on('data', (chunk) => (text = (text + chunk.toString()).slice(-20_000)))
    socket.resume()
    while (!text.includes('event: missed')) await sleep(5)
    expect(text).toMatch(/event: missed\r?\ndata: \{"count":\d+\}/)
    socket.destroy()
  })

  it('ends with the server', async () => {
    const stream = await openStream()
    await stream.until(': open')
    await api.close()
    await expect(stream.until('never')).resolves.toContain(': open')
    expect(api.listeners.size).toBe(0)
  })
})
