/** What each kind of credential puts on a request does not come back; who has it said too often is shown the door. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { askOver, inChunks, openIntercepted } from '../support/intercepted-client.ts'
import { fieldOf, type RawResponse } from '../support/raw-client.ts'
import { type Answer, answerOk } from '../support/raw-origin.ts'
import { createWorld, type World, type WorldSession } from '../support/world.ts'

const secret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCY0123456789'
const stars = '*'.repeat(secret.length)
const accessKeyId = 'AKIAIOSFODNN7REALKEY'

const kinds: readonly Readonly<Record<string, unknown>>[] = [
  { name: 'basic', kind: 'basic', username: 'x-access-token' },
  { name: 'bearer', kind: 'bearer' },
  { name: 'query', kind: 'query', parameter: 'key' },
  { name: 'swap', kind: 'placeholder', in: [{ header: 'x-key' }, { basic: true }] },
  { name: 'aws', kind: 'aws-sigv4', accessKeyId },
]
const hostOf = (name: unknown): string => `${String(name)}.test`

/** The example of RFC 6455 §1.3. */
const handshake =
  'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
const accept = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='

let world: World
let session: WorldSession

beforeAll(async () => {
  world = await createWorld({
    limits: { firstBytesTimeoutMs: 15_000, handshakeTimeoutMs: 15_000, redactionsPerSessionMax: 20 },
    credentials: kinds.map((kind) => ({
      ...kind,
      secret: { env: 'KEY' },
      hosts: [hostOf(kind['name'])],
      placeholder: { env: 'KEY', like: kind['name'] === 'aws' ? 'AKIA{17}' : 'sk-{40}' },
    })),
    secrets: { KEY: secret },
    rules: ({ https }) =>
      kinds.map(({ name }) => ({
        host: hostOf(name),
        ports: [https],
        addresses: ['127.0.0.0/8'],
        credential: name,
        methods: ['GET', 'WEBSOCKET'],
      })),
    dns: Object.fromEntries(kinds.map(({ name }) => [hostOf(name), { a: ['127.0.0.1'] }])),
  })
})
beforeEach(async () => {
  world.https.answer = answerOk
  session = await world.newSession()
})
afterAll(() => world[Symbol.asyncDispose]())

/** Says the whole head of the request, in a field and in the body. */
const echo: Answer = (asked, socket) => {
  const head = asked.fields.map(([name, value]) => `${name}: ${value}\n`).join('')
  const credential = asked.fields.find(([name]) => /^(?:authorization|x-key)$/i.test(name))?.[1] ?? 'none'
  socket.write(inChunks([Buffer.from(`${asked.target}\n${head}`, 'latin1')], `X-Echo: ${credential}\r\n`))
}

async function exchange(name: string, fields = '', target = '/v1'): Promise<RawResponse> {
  const host = hostOf(name)
  const client = await openIntercepted(world, session, host)
  const heard = await askOver(client, `GET ${target} HTTP/1.1\r\nHost: ${host}:${world.ports.https}\r\n${fields}\r\n`)
  client.destroy()
  return heard
}

function placeholder(name: string): string {
  return world.gateway.sessions.book.get(session.id)?.current.placeholders.get(name) ?? expect.fail('none')
}

const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64')

/** What went to the origin last. */
function lastSent(): string {
  return world.https.connections.at(-1)?.received.toString('latin1') ?? ''
}

describe('an origin that says back what it was sent', () => {
  it('with a secret in Basic: neither the pair nor the secret in it', async () => {
    world.https.answer = echo
    const heard = await exchange('basic')
    const pair = base64(`x-access-token:${secret}`)
    expect(lastSent()).toContain(`Authorization: Basic ${pair}\r\n`)
    for (const said of [heard.body.toString(), fieldOf(heard, 'x-echo')]) {
      const shown = /Basic ([^*\s]*)\*+=*$/m.exec(said ?? '')?.[1] ?? expect.fail('no mask')
      expect('x-access-token:'.startsWith(Buffer.from(shown, 'base64').toString())).toBe(true)
    }
    expect(world.records.at(-1)).toMatchObject({ redactions: 2, credentials: ['basic'] })
  })

  it('with a secret in the query: not in what it says of the target', async () => {
    world.https.answer = (asked, socket) => {
      const location = `Location: https://elsewhere.test${asked.target}`
      socket.write(`HTTP/1.1 302 Found\r\n${location}\r\nSet-Cookie: a="${secret}"\r\nContent-Length: 0\r\n\r\n`)
    }
    const heard = await exchange('query', '', '/v1?a=1')
    expect(lastSent()).toContain(encodeURIComponent(secret))
    expect(fieldOf(heard, 'location')).toMatch(/^https:\/\/elsewhere\.test\/v1\?a=1&key=\*+$/)
    expect(fieldOf(heard, 'set-cookie')).toBeNull()
  })

  it('with a secret that took the place of a placeholder, in a field or in a half of Basic', async () => {
    world.https.answer = echo
    const field = await exchange('swap', `X-Key: ${placeholder('swap')}\r\n`)
    expect(lastSent()).toContain(`X-Key: ${secret}\r\n`)
    expect(fieldOf(field, 'x-echo')).toBe(stars)
    const half = await exchange('swap', `Authorization: Basic ${base64(`${placeholder('swap')}:`)}\r\n`)
    expect(lastSent()).toContain(`Authorization: Basic ${base64(`${secret}:`)}\r\n`)
    expect(fieldOf(half, 'x-echo')).toMatch(/^Basic \*+[^*]{0,2}=*$/)
    expect(half.body.toString()).not.toContain(base64(secret).slice(0, 8))
  })

  it('without a placeholder in the request nothing was put on, and nothing is searched', async () => {
    world.https.answer = (_, socket) => socket.write(`HTTP/1.1 206 P\r\nContent-Length: 2\r\n\r\nok`)
    expect(await exchange('swap', 'Range: bytes=0-1\r\n')).toMatchObject({ status: 206 })
    expect(world.records.at(-1)).toMatchObject({ redactions: 0, credentials: [] })
  })

  it('signed anew for AWS: the secret key is masked; the id of the key and the signature are no secrets', async () => {
    world.https.answer = (asked, socket) => {
      const sent = asked.fields.find(([name]) => name.toLowerCase() === 'authorization')?.[1] ?? ''
      socket.write(inChunks([Buffer.from(`<Signed>${sent}</Signed><Key>${secret}</Key>`)]))
    }
    const scope = `${placeholder('aws')}/20260101/eu-central-1/s3/aws4_request`
    const signed = `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host;x-amz-date, Signature=${'0'.repeat(64)}`
    const heard = await exchange('aws', `X-Amz-Date: 20260101T000000Z\r\nAuthorization: ${signed}\r\n`)
    const said = heard.body.toString()
    expect(said).toContain(`Credential=${accessKeyId}/20260101/`)
    expect(said).toMatch(/Signature=[0-9a-f]{64}<\/Signed>/)
    expect(said).toContain(`<Key>${stars}</Key>`)
    expect(world.records.at(-1)).toMatchObject({ redactions: 1, credentials: ['aws'] })
  })

  it('in heads before the answer, or in trailers', async () => {
    world.https.answer = (_, socket) => {
      const early = `HTTP/1.1 103 ${secret}\r\nLink: <${secret}>\r\n\r\n`
      socket.write(Buffer.concat([Buffer.from(early), inChunks([Buffer.from('ok')], '', `X-Echo: ${secret}\r\n`)]))
    }
    const client = await openIntercepted(world, session, 'bearer.test')
    await client.send(`GET / HTTP/1.1\r\nHost: bearer.test:${world.ports.https}\r\nTE: trailers\r\n\r\n`)
    await expect.poll(() => client.unread.toString().endsWith(`ok\r\n0\r\nX-Echo: ${stars}\r\n\r\n`)).toBe(true)
    const early = `HTTP/1.1 103 ${stars}\r\nLink: <${stars}>\r\n\r\n`
    expect(client.unread.toString().slice(0, early.length)).toBe(early)
    expect(client.unread.toString()).not.toContain(secret.slice(0, 8))
    client.destroy()
    await expect.poll(() => world.records.at(-1)?.redactions).toBe(3)
  })

  it('on the handshake of a WebSocket: not in the head of the switch, nor in that of a refusal', async () => {
    const asked = `GET /ws HTTP/1.1\r\nHost: bearer.test:${world.ports.https}\r\n${handshake}\r\n`
    for (const status of ['101 Switching Protocols', '403 Forbidden']) {
      world.https.answer = (_, socket) => {
        const accepted = `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n`
        const fields = status.startsWith('101') ? accepted : 'Content-Length: 0\r\n'
        socket.write(`HTTP/1.1 ${status}\r\n${fields}X-Echo: Bearer ${secret}\r\n\r\n`)
      }
      const client = await openIntercepted(world, session, 'bearer.test')
      await client.send(asked)
      await expect.poll(() => client.unread.toString()).toMatch(/\r\n\r\n$/)
      expect(client.unread.toString()).toContain(`HTTP/1.1 ${status.slice(0, 3)} `)
      expect(client.unread.toString()).toContain(`X-Echo: Bearer ${stars}\r\n`)
      client.destroy()
      await expect.poll(() => world.records.at(-1)?.redactions).toBe(1)
    }
  })
})

describe('a session whose secrets come back too often', () => {
  const says = (times: number): Answer => {
    const body = Buffer.from(`${secret}\n`.repeat(times))
    return (_, socket) => void socket.write(inChunks([body]))
  }

  it('over several answers is ended with what it holds open, and others go on', async () => {
    const other = await world.newSession()
    world.https.answer = says(10)
    expect((await exchange('bearer')).body.toString()).toBe(`${stars}\n`.repeat(10))
    const waiting = await openIntercepted(world, session, 'bearer.test')
    expect((await exchange('bearer')).complete).toBe(true)
    expect(waiting.end).toBeNull()
    const last = await openIntercepted(world, session, 'bearer.test')
    await last.send(`GET / HTTP/1.1\r\nHost: bearer.test:${world.ports.https}\r\n\r\n`)
    expect(await last.closed()).toBe(true)
    expect(await waiting.closed()).toBe(true)
    expect(last.unread.toString()).not.toContain(secret)
    const outcomes = (): readonly string[] =>
      world.records.flatMap((one) => (one.session === session.id && one.redactions === 10 ? [one.outcome] : []))
    await expect.poll(outcomes).toEqual(['allow', 'allow', 'interrupted'])
    expect(world.gateway.sessions.book.get(session.id)).toBeUndefined()
    expect(world.logged.join('\n')).toMatch(/"why":"echoes"[^\n]*"session ended"/)
    world.https.answer = answerOk
    session = other
    expect((await exchange('bearer')).body.toString()).toBe('ok\n')
  })

  it('within one answer that never ends is ended too', async () => {
    let timer: NodeJS.Timeout | undefined
    world.https.answer = (_, socket) => {
      socket.write(`HTTP/1.1 200 OK\r\n\r\n`)
      timer = setInterval(() => socket.write(`data: ${secret}\n\n`), 5)
      socket.once('close', () => clearInterval(timer))
    }
    const client = await openIntercepted(world, session, 'bearer.test')
    await client.send(`GET / HTTP/1.1\r\nHost: bearer.test:${world.ports.https}\r\n\r\n`)
    expect(await client.closed()).toBe(true)
    clearInterval(timer)
    expect(client.unread.toString().split(stars).length - 1).toBeLessThanOrEqual(21)
    expect(client.unread.toString()).not.toContain(secret)
    await expect.poll(() => world.records.at(-1)?.outcome).toBe('interrupted')
    expect(world.records.at(-1)).toMatchObject({ session: session.id, redactions: 21 })
  })
})
