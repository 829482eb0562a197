/**
 * Invariant: upstream identity is verified as strictly as a browser would, nothing of a request leaves before it is, and
 * whatever the network does ends in one record and a generic answer.
 */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type net from 'node:net'
import { fieldOf } from '../support/raw-client.ts'
import { answerOk, type RawOrigin } from '../support/raw-origin.ts'
import type { CertificateFault } from '../support/test-ca.ts'
import { createWorld, type World } from '../support/world.ts'
import type { Place } from './hostile/case.ts'
import { canary, fieldsWorld } from './hostile/fields.ts'
import { enter, goodRule, spotOf, textOf, until } from './hostile/runner.ts'

let world: World
beforeAll(async () => {
  const limits = { handshakeTimeoutMs: 500, connectTimeoutMs: 600, originHeadTimeoutMs: 1000 }
  world = await createWorld({ rules: goodRule('good.test'), ...fieldsWorld, limits })
})
afterAll(() => world[Symbol.asyncDispose]())
afterEach(() => {
  for (const origin of [world.http, world.https])
    Object.assign(origin, { answer: answerOk, fault: null, maxVersion: null, onConnection: null })
})

type Told = { readonly status: number | string; readonly body: string; readonly records: readonly string[] }

/** A POST that carries a canary of the client's, to a host on which a credential is put in tunnels. */
async function post(place: Place, path: string = '/'): Promise<Told> {
  const host = place === 'tunnel' ? 'strip.test' : 'good.test'
  const session = await world.newSession()
  const before = world.records.length
  const client = await enter(world, session, place, host)
  const spot = spotOf(world, session, place, host)
  await client.send(`POST ${spot.target(path)} HTTP/1.1\r\n${spot.lines}Content-Length: 11\r\n\r\nhello-there`)
  const heard = await client.response()
  client.destroy()
  await until(() => world.records.length > before)
  const records = world.records.slice(before).map(textOf)
  if (typeof heard === 'string') return { status: heard, body: '', records }
  expect(fieldOf(heard, 'x-egress-decision')).toBe('allow')
  return { status: heard.status, body: heard.reason + heard.body.toString(), records }
}

async function expectAlive(place: Place): Promise<void> {
  for (const origin of [world.http, world.https])
    Object.assign(origin, { answer: answerOk, fault: null, maxVersion: null, onConnection: null })
  expect(await honest(place)).toBe(200)
}

async function honest(place: Place): Promise<number | string> {
  const session = await world.newSession()
  const client = await enter(world, session, place)
  const spot = spotOf(world, session, place)
  await client.send(`GET ${spot.target('/')} HTTP/1.1\r\n${spot.lines}\r\n`)
  const heard = await client.response()
  client.destroy()
  return typeof heard === 'string' ? heard : heard.status
}

function origin(place: Place): RawOrigin {
  return place === 'tunnel' ? world.https : world.http
}

const told = /127\.0\.0\.1|ECONN|certificate has expired|self-signed|altnames|unable to|issuer|alert|stack|at \//i

describe('a certificate that is wrong', () => {
  const faults: readonly CertificateFault[] = [
    'expired',
    'not_yet_valid',
    'self_signed',
    'untrusted_issuer',
    'wrong_name',
  ]

  it.each(faults)('%s: 502, no byte of the request, no secret', async (fault) => {
    world.https.fault = fault
    const before = world.https.connections.length
    const { status, body, records } = await post('tunnel')
    expect(status).toBe(502)
    expect(records).toEqual(['failed tls_untrusted'])
    expect(body).not.toMatch(told)
    expect(body).not.toContain(canary)
    const seen = world.https.connections.slice(before)
    expect(seen).toHaveLength(1)
    for (const { received } of seen) expect(received.toString('latin1')).toBe('')
    await expectAlive('tunnel')
  })

  it.each(['NODE_TLS_REJECT_UNAUTHORIZED', 'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE'])(
    'is not excused by %s (TLS-06)',
    async (name) => {
      const was = process.env[name]
      process.env[name] = '0'
      try {
        world.https.fault = 'self_signed'
        expect(await post('tunnel')).toMatchObject({ status: 502, records: ['failed tls_untrusted'] })
      } finally {
        if (was === undefined) delete process.env[name]
        else process.env[name] = was
      }
    },
  )

  it.each(['TLSv1', 'TLSv1.1'] as const)('%s alone is not spoken (TLS-05)', async (version) => {
    world.https.maxVersion = version
    const before = world.https.connections.length
    expect(await post('tunnel')).toMatchObject({ status: 502, records: ['failed tls_failed'] })
    for (const { received } of world.https.connections.slice(before)) expect(received).toHaveLength(0)
    await expectAlive('tunnel')
  })

  it('is looked at anew on a resumed session of another connection (TLS-07)', async () => {
    expect(await honest('tunnel')).toBe(200)
    world.https.fault = 'expired'
    expect(await post('tunnel')).toMatchObject({ status: 502, records: ['failed tls_untrusted'] })
  })
})

const resetAtOnce = (socket: net.Socket): void => void socket.resetAndDestroy()
const silent = (): void => undefined
const talks =
  (bytes: string) =>
  (socket: net.Socket): void =>
    void socket.end(bytes)

describe.each(['proxy', 'tunnel', 'clear'] as const)('the network, %s', (place) => {
  it('resets the connection as it stands', async () => {
    origin(place).onConnection = resetAtOnce
    const { status, body, records } = await post(place)
    expect(status).toBe(502)
    expect(body).not.toMatch(told)
    expect(records).toHaveLength(1)
    expect(records[0]).toMatch(/^failed (?:tls_failed|origin_closed)$/)
    await expectAlive(place)
  })

  it('never says a word', async () => {
    origin(place).onConnection = silent
    const { status, body, records } = await post(place)
    expect(body).not.toMatch(told)
    expect([status, ...records]).toEqual(
      place === 'tunnel' ? [502, 'failed tls_failed'] : [504, 'failed origin_timeout'],
    )
    await expectAlive(place)
  })

  it('speaks something else', async () => {
    origin(place).onConnection = talks('SSH-2.0-OpenSSH_9.6\r\n')
    const { status, records } = await post(place)
    expect(status).toBe(502)
    expect(records).toHaveLength(1)
    expect(records[0]).toMatch(/^failed (?:tls_failed|origin_malformed|origin_closed)$/)
    await expectAlive(place)
  })

  it.each(['before its head', 'within its body', 'after its head'])('resets %s', async (when) => {
    origin(place).answer = (_request, socket) => {
      if (when !== 'before its head') socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n')
      if (when === 'within its body') socket.write('hello')
      setTimeout(() => socket.destroy(), 20)
    }
    const session = await world.newSession()
    const before = world.records.length
    const client = await enter(world, session, place)
    const spot = spotOf(world, session, place)
    await client.send(`POST ${spot.target('/')} HTTP/1.1\r\n${spot.lines}Content-Length: 5\r\n\r\nhello`)
    const heard = await client.response()
    expect(heard).toMatchObject(
      when === 'before its head' ? { status: 502, complete: true } : { status: 200, complete: false },
    )
    if (when !== 'before its head') expect(await client.closed()).toBe(true)
    client.destroy()
    await until(() => world.records.length > before)
    expect(world.records.slice(before).map(textOf)).toEqual(['failed origin_closed'])
    await expectAlive(place)
  })

  it('answers before the upload ends, and hangs up', async () => {
    const session = await world.newSession()
    const before = world.records.length
    const client = await enter(world, session, place)
    const spot = spotOf(world, session, place)
    await client.send(
      `POST ${spot.target('/')} HTTP/1.1\r\n${spot.lines}Content-Length: 1000000\r\n\r\n`,
      'x'.repeat(1000),
    )
    await until(() => origin(place).connections.at(-1)?.received.includes('xxx') === true)
    origin(place).connections.at(-1)?.socket.resetAndDestroy()
    const heard = await client.response()
    expect(heard).toMatchObject({ status: 502 })
    client.destroy()
    await until(() => world.records.length > before)
    expect(world.records.slice(before)).toHaveLength(1)
    await expectAlive(place)
  })
})

it('an upload and an answer may each take longer than the head of an answer may, as long as something moves', async () => {
  const part = 'x'.repeat(1000)
  world.https.answer = (_request, socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${part.length * 10}\r\n\r\n`)
    for (let i = 0; i < 10; i++) setTimeout(() => socket.write(part), 250 * i)
  }
  const session = await world.newSession()
  const client = await enter(world, session, 'tunnel')
  const spot = spotOf(world, session, 'tunnel')
  await client.send(`POST ${spot.target('/')} HTTP/1.1\r\n${spot.lines}Content-Length: ${part.length * 6}\r\n\r\n`)
  for (let i = 0; i < 6; i++) {
    await client.send(part)
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
  expect(await client.response()).toMatchObject({ status: 200, complete: true })
  client.destroy()
})
