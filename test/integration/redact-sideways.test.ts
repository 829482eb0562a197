/**
 * Ways around the search of answers: what an origin keeps and says to another session (SEC-25), what it says of the bytes of
 * a body (SEC-12), our own pages where it fails, and gossip between proxies.
 */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { askOver, inChunks, openIntercepted } from '../support/intercepted-client.ts'
import { fieldOf, type RawResponse } from '../support/raw-client.ts'
import { answerOk } from '../support/raw-origin.ts'
import { createWorld, type World, type WorldSession } from '../support/world.ts'

const secrets = { A: 'sk-team-a/7+Zq-4f1c0d2e9b', B: 'sk-team-b/1+Xy-8e3a5c7d2f', C: 'sk-team-c/5+Uv-0a9b8c7d6e' }
const starsOf = (text: string): string => '*'.repeat(text.length)

let world: World
let session: WorldSession
let other: WorldSession

beforeAll(async () => {
  world = await createWorld({
    limits: { firstBytesTimeoutMs: 15_000, handshakeTimeoutMs: 15_000, headTimeoutMs: 15_000 },
    credentials: [
      { name: 'a', kind: 'bearer', secret: { env: 'A' }, hosts: ['shared.test'] },
      { name: 'b', kind: 'bearer', secret: { env: 'B' }, hosts: ['**.shared.test'], unsafeWildcardHosts: true },
      { name: 'c', kind: 'bearer', secret: { env: 'C' }, hosts: ['alone.test'] },
    ],
    secrets,
    rules: ({ https }) => {
      const common = { ports: [https], addresses: ['127.0.0.0/8'] }
      return [
        { ...common, host: 'shared.test', paths: ['/a'], credential: 'a' },
        { ...common, host: 'shared.test', paths: ['/b'], credential: 'b' },
        { ...common, host: 'alone.test', credential: 'c' },
      ]
    },
    dns: { 'shared.test': { a: ['127.0.0.1'] }, 'alone.test': { a: ['127.0.0.1'] } },
  })
  session = await world.newSession()
  other = await world.newSession()
})
beforeEach(() => {
  world.https.answer = answerOk
})
afterAll(() => world[Symbol.asyncDispose]())

async function exchange(name: string, path: string, as = session, method = 'GET'): Promise<RawResponse> {
  const client = await openIntercepted(world, as, name)
  const heard = await askOver(client, `${method} ${path} HTTP/1.1\r\nHost: ${name}:${world.ports.https}\r\n\r\n`)
  client.destroy()
  return heard
}

it('what was put on for one session does not come to another, where an origin keeps it', async () => {
  const kept: string[] = []
  world.https.answer = (asked, socket) => {
    kept.push(asked.fields.find(([name]) => name.toLowerCase() === 'authorization')?.[1] ?? 'none')
    socket.write(inChunks([Buffer.from(kept.join('\n'))]))
  }
  const said = [
    await exchange('shared.test', '/a'),
    await exchange('shared.test', '/b', other),
    await exchange('shared.test', '/a', other),
    await exchange('alone.test', '/'),
  ].map(({ body }) => body.toString())
  const [a, b] = [`Bearer ${starsOf(secrets.A)}`, `Bearer ${starsOf(secrets.B)}`]
  expect(said.slice(0, 3)).toEqual([a, `${a}\n${b}`, `${a}\n${b}\n${a}`])
  // It was never for this host, so it cannot have come from here.
  expect(said[3]).toContain(secrets.A)
  expect(said[3]).toContain(`Bearer ${starsOf(secrets.C)}`)
})

describe('what would be said of the bytes of a body that is masked', () => {
  const digests =
    'Content-MD5: YQ==\r\ncontent-digest: sha-256=:YQ==:\r\nRepr-Digest: sha-256=:Yg==:\r\nDigest: sha-256=Yg==\r\n'
  const kept = 'ETag: "abc"\r\nX-Content-Digest: c\r\nX-Digest: d\r\n'

  it.each(['GET', 'HEAD'])('is not, in an answer to %s', async (method) => {
    const body = method === 'HEAD' ? '' : secrets.C
    world.https.answer = (_, socket) =>
      socket.write(`HTTP/1.1 200 OK\r\n${digests}${kept}Content-Length: ${secrets.C.length}\r\n\r\n${body}`)
    const heard = await exchange('alone.test', '/', session, method)
    expect(
      heard.fields.map(([name]) => name.toLowerCase()).filter((name) => /digest|md5|etag|length/.test(name)),
    ).toEqual(['etag', 'x-content-digest', 'x-digest', 'content-length'])
    expect(fieldOf(heard, 'content-length')).toBe(String(secrets.C.length))
    expect(heard.body.toString()).toBe(method === 'HEAD' ? '' : starsOf(secrets.C))
  })

  it('is not behind it either', async () => {
    world.https.answer = (_, socket) => socket.write(inChunks([Buffer.from('ok')], '', `${digests}X-Sum: 1\r\n`))
    const client = await openIntercepted(world, session, 'alone.test')
    await client.send(`GET / HTTP/1.1\r\nHost: alone.test:${world.ports.https}\r\nTE: trailers\r\n\r\n`)
    await expect.poll(() => client.unread.toString()).toMatch(/ok\r\n0\r\nX-Sum: 1\r\n\r\n$/)
    client.destroy()
  })
})

describe('a page of our own, where the origin', () => {
  it.each<readonly [what: string, answer: string, status: number]>([
    ['leaves', '', 502],
    ['is malformed', `HTTP/1.1 ${secrets.C}\r\n\r\n`, 502],
    ['cannot be searched', `HTTP/1.1 200 OK\r\nContent-Encoding: ${secrets.C}\r\nContent-Length: 3\r\n\r\nabc`, 502],
    ['switches unasked', `HTTP/1.1 101 ${secrets.C}\r\nUpgrade: ${secrets.C}\r\nConnection: upgrade\r\n\r\n`, 502],
  ])('%s, says nothing of what it was sent, nor of what it said', async (_, answer, status) => {
    world.https.answer = (_request, socket) => void socket.end(answer)
    const heard = await exchange('alone.test', '/')
    expect(heard.status).toBe(status)
    expect(world.https.connections.at(-1)?.received.toString()).toContain(secrets.C)
    const page = [heard.reason, ...heard.fields.flat(), heard.body.toString()].join('\n')
    for (const text of [secrets.C, Buffer.from(secrets.C).toString('base64')]) {
      expect(page).not.toContain(text)
      expect(JSON.stringify(world.records.at(-1))).not.toContain(text)
      expect(world.logged.join('\n')).not.toContain(text)
    }
  })
})

it('a trace is refused, and what proxies tell each other is masked like anything', async () => {
  const before = world.https.connections.length
  expect((await exchange('alone.test', '/', session, 'TRACE')).status).toBeGreaterThanOrEqual(400)
  expect(world.https.connections).toHaveLength(before)
  world.https.answer = (_, socket) =>
    socket.write(`HTTP/1.1 200 OK\r\nVia: 1.1 ${secrets.C}\r\nContent-Length: 0\r\n\r\n`)
  expect(fieldOf(await exchange('alone.test', '/'), 'via')).toBe(`1.1 ${starsOf(secrets.C)}`)
})
