import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
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
