/** Invariants: no opaque path; CONNECT, server name and Host name one host; an honest hello works however it is cut. */

import { Duplex } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RawClient } from '../support/raw-client.ts'
import { createWorld, type World, type WorldSession } from '../support/world.ts'
import { connectTls, tunnelRules } from './hostile/connect-tls.ts'
import { runHostile, textOf, until } from './hostile/runner.ts'

const dns = { '*.test': { a: ['127.0.0.1'] } }

runHostile('tunnels', { world: { rules: tunnelRules, dns }, cases: connectTls })

describe('a TLS client in CONNECT', () => {
  let world: World
  let session: WorldSession
  beforeAll(async () => {
    world = await createWorld({ rules: tunnelRules, dns })
    session = await world.newSession()
  })
  afterAll(() => world[Symbol.asyncDispose]())

  const headFor = (host: string): string =>
    `CONNECT ${host}:${world.ports.https} HTTP/1.1\r\nProxy-Authorization: ${session.authorization}\r\n\r\n`
  const get = (host: string): string => `GET / HTTP/1.1\r\nHost: ${host}:${world.ports.https}\r\n\r\n`

  async function connect(host: string): Promise<RawClient> {
    const client = await RawClient.connect(world.ports.proxy)
    await client.send(headFor(host))
    expect(await client.response()).toMatchObject({ status: 200 })
    return client
  }

  it.each([
    ['good.test', 'evil.test'],
    ['good.test', 'x.good.test'],
    ['good.test', ''],
  ])('to %s that names %j is told so inside TLS, with the leaf of the CONNECT (TUN-01, TUN-03)', async (host, name) => {
    const before = { records: world.records.length, connections: world.https.connections.length }
    const client = await connect(host)
    const checked: string[] = []
    const secure = await client.startTls({
      ...(name === '' ? {} : { servername: name }),
      ca: world.caCertificate,
      checkServerIdentity: (_asked, { subjectaltname = '' }) => void checked.push(subjectaltname),
    })
    await secure.send(get(host))
    expect(await secure.response()).toMatchObject({ status: 421 })
    expect(checked).toEqual([`DNS:${host}`])
    secure.destroy()
    await until(() => world.records.length > before.records)
    expect(world.records.slice(before.records).map(textOf)).toEqual(['deny authority_mismatch'])
    expect(world.https.connections).toHaveLength(before.connections)
  })

  it('to a tunnel that names another host is cut, and the origin sees no byte of it', async () => {
    const before = { records: world.records.length, connections: world.https.connections.length }
    const client = await connect('tun.test')
    await expect(client.startTls({ servername: 'evil.test', ca: world.originCa.certificate })).rejects.toThrow()
    await until(() => world.records.length > before.records)
    expect(world.records.slice(before.records).map(textOf)).toEqual(['deny authority_mismatch'])
    for (const { received, serverName } of world.https.connections.slice(before.connections)) {
      expect(received).toHaveLength(0)
      expect(serverName).toBeNull()
    }
  })

  it.each(['good.test', 'tun.test'])('to %s passes (one record)', async (host) => {
    const before = world.records.length
    const client = await connect(host)
    const ca = host === 'good.test' ? world.caCertificate : world.originCa.certificate
    const secure = await client.startTls({ servername: host, ca })
    await secure.send(get(host))
    expect(await secure.response()).toMatchObject({ status: 200 })
    secure.destroy()
    await until(() => world.records.length > before)
    expect(world.records.slice(before).map(textOf)).toEqual(['allow'])
  })

  it.each([
    ['a hello in single bytes (TUN-11)', 'good.test', 1, 0],
    ['a hello in single bytes, to a tunnel', 'tun.test', 1, 0],
    ['a hello in records of 40 bytes', 'good.test', 65_536, 40],
    ['a hello in records of 40 bytes, to a tunnel', 'tun.test', 65_536, 40],
    ['a hello in records of 7 bytes in segments of 3', 'good.test', 3, 7],
  ])('with %s passes', async (_what, host, segment, record) => {
    const client = await connect(host)
    const ca = host === 'good.test' ? world.caCertificate : world.originCa.certificate
    const cut = new CutSocket(client.socket, segment, record)
    const secure = await client.startTls({ servername: host, ca, socket: cut })
    await secure.send(get(host))
    expect(await secure.response()).toMatchObject({ status: 200 })
    client.destroy()
  })

  it.each(['good.test', 'tun.test'])('to %s that sends its hello with the CONNECT passes (TUN-12)', async (host) => {
    const client = await RawClient.connect(world.ports.proxy)
    const ca = host === 'good.test' ? world.caCertificate : world.originCa.certificate
    const eager = new EagerSocket(client.socket, headFor(host))
    const secure = await client.startTls({ servername: host, ca, socket: eager })
    await secure.send(get(host))
    expect(await secure.response()).toMatchObject({ status: 200 })
    client.destroy()
  })

  it('that is asked for its credentials may bring them on the same connection', async () => {
    const client = await RawClient.connect(world.ports.proxy)
    await client.send(`CONNECT good.test:${world.ports.https} HTTP/1.1\r\n\r\n`)
    expect(await client.response()).toMatchObject({ status: 407 })
    await client.send(headFor('good.test'))
    expect(await client.response()).toMatchObject({ status: 200 })
    const secure = await client.startTls({ servername: 'good.test', ca: world.caCertificate })
    await secure.send(get('good.test'))
    expect(await secure.response()).toMatchObject({ status: 200 })
    secure.destroy()
  })

  it('that took our leaf before is refused inside TLS, where it shows the reason (decision 30)', async () => {
    const session = await world.newSession()
    const proof = `Proxy-Authorization: ${session.authorization}\r\n`
    const open = async (host: string): Promise<RawClient> => {
      const client = await RawClient.connect(world.ports.proxy)
      await client.send(`CONNECT ${host}:${world.ports.https} HTTP/1.1\r\n${proof}\r\n`)
      expect(await client.response()).toMatchObject({ status: 200 })
      const secure = await client.startTls({ servername: host, ca: world.caCertificate })
      await secure.send(get(host))
      return secure
    }
    const mine = (): string[] => world.records.filter((record) => record.session === session.id).map(textOf)
    const first = await open('good.test')
    expect(await first.response()).toMatchObject({ status: 200 })
    first.destroy()
    const queries = world.dns.queries.length
    const second = await open('evil.test')
    expect(await second.response()).toMatchObject({ status: 403 })
    second.destroy()
    await until(() => mine().length === 2)
    expect(mine()).toEqual(['allow', 'deny host_not_allowed'])
    expect(world.dns.queries).toHaveLength(queries)
  })
})

/** Passes bytes on in segments, and its first record cut into many (RFC 8446 §5.1). */
class CutSocket extends Duplex {
  protected readonly inner: Duplex
  readonly #segment: number
  readonly #record: number
  #first = true

  constructor(inner: Duplex, segment: number, record: number) {
    super()
    this.inner = inner
    this.#segment = segment
    this.#record = record
    inner.on('data', (chunk: Buffer) => this.receive(chunk))
    inner.on('end', () => this.push(null))
  }

  protected receive(chunk: Buffer): void {
    this.push(chunk)
  }

  override _read(): void {
    this.inner.resume()
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const bytes = this.#first && this.#record > 0 ? fragment(chunk, this.#record) : chunk
    this.#first = false
    void this.#send(bytes, done)
  }

  override _final(done: () => void): void {
    this.inner.end(done)
  }

  async #send(bytes: Buffer, done: () => void): Promise<void> {
    for (let at = 0; at < bytes.length; at += this.#segment) {
      this.inner.write(bytes.subarray(at, at + this.#segment))
      await nextTurn()
    }
    done()
  }
}

/** Sends the CONNECT in one packet with what it is given first, and keeps its answer to itself. */
class EagerSocket extends CutSocket {
  #head: string | null
  #answered = false

  constructor(inner: Duplex, head: string) {
    super(inner, 65_536, 0)
    this.#head = head
  }

  protected override receive(chunk: Buffer): void {
    if (this.#answered) this.push(chunk)
    else {
      this.#answered = true
      const end = chunk.indexOf('\r\n\r\n')
      if (end + 4 < chunk.length) this.push(chunk.subarray(end + 4))
    }
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.inner.write(this.#head === null ? chunk : Buffer.concat([Buffer.from(this.#head), chunk]))
    this.#head = null
    done()
  }
}

/** The handshake record as many, each with so many bytes of it. */
function fragment(record: Buffer, size: number): Buffer {
  const pieces: Buffer[] = []
  for (let at = 5; at < record.length; at += size) {
    const body = record.subarray(at, at + size)
    pieces.push(record.subarray(0, 3), Buffer.from([body.length >> 8, body.length & 255]), body)
  }
  return Buffer.concat(pieces)
}
