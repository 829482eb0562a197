import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Connection } from '../../src/exchange/connection.ts'
import { RawClient } from '../support/raw-client.ts'
import { createWorld, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld({
    rules: ({ http }) => [{ host: 'good.test', ports: [http], addresses: ['127.0.0.0/8'] }],
    dns: { 'good.test': { a: ['127.0.0.1'] } },
  })
})
afterAll(() => world[Symbol.asyncDispose]())

const length = 32 * 1024 * 1024

it('whoever said Connection: close gets all of a large answer, however slowly it reads', async () => {
  world.http.answer = (_request, socket) =>
    void socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n${'a'.repeat(length)}`)
  const session = await world.newSession()
  const authority = `good.test:${world.ports.http}`
  const client = net.connect({ host: '127.0.0.1', port: world.ports.proxy })
  client.write(
    `GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\nConnection: close\r\nProxy-Authorization: ${session.authorization}\r\n\r\n`,
  )
  await once(client, 'readable')
  let read = 0
  // Longer than a finished connection may linger, and a little at a time.
  for (let pause = 0; pause < 25; pause++) {
    read += (client.read(65_536) as Buffer | null)?.length ?? 0
    await delay(100)
  }
  for await (const piece of client) read += (piece as Buffer).length
  expect(read).toBeGreaterThan(length)
})

it('whoever asks and asks without reading is not answered beyond a buffer, and gets everything once it reads', async () => {
  const session = await world.newSession()
  const client = net.connect({ host: '127.0.0.1', port: world.ports.proxy })
  client.pause()
  const count = 15_000
  const ask = `GET http://egress.local/ HTTP/1.1\r\nHost: egress.local\r\nProxy-Authorization: ${session.authorization}\r\n`
  client.write(`${`${ask}\r\n`.repeat(count - 1)}${ask}Connection: close\r\n\r\n`)
  const held = (): number =>
    Math.max(
      ...[...(world.gateway.sessions.book.get(session.id)?.open ?? [])].map((open) =>
        'start' in open ? (open as Connection).start.stream.writableLength : 0,
      ),
    )
  await expect.poll(held).toBeGreaterThan(0)
  await delay(300)
  expect(held()).toBeLessThan(200_000)
  const pieces: Buffer[] = []
  for await (const piece of client) pieces.push(piece as Buffer)
  expect(Buffer.concat(pieces).toString('latin1').split('HTTP/1.1 200').length - 1).toBe(count)
})

it.each([
  ['chunks', 'Transfer-Encoding: chunked', '5\r\nhello\r\n0\r\n\r\n'],
  ['a length', 'Content-Length: 5', 'hello'],
])('whoever ends its side right behind a body in %s has asked a whole question', async (_name, framing, body) => {
  const session = await world.newSession()
  world.http.answer = (_request, socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  for (let attempt = 0; attempt < 5; attempt++) {
    const client = await RawClient.connect(world.ports.proxy)
    const authority = `good.test:${world.ports.http}`
    await client.send(
      `POST http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\nProxy-Authorization: ${session.authorization}\r\n${framing}\r\n\r\n${body}`,
    )
    client.halfClose()
    expect(await client.response()).toMatchObject({ status: 200, complete: true })
    client.destroy()
  }
})
