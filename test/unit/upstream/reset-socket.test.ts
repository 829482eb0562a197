import { once } from 'node:events'
import net, { type AddressInfo, type Socket } from 'node:net'
import { expect, it } from 'vitest'
import { resetSocket } from '../../../src/upstream/reset-socket.ts'

async function pair(): Promise<{ ours: Socket; theirs: Socket; close: () => void }> {
  const server = net.createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const theirs = net.connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [[ours]] = (await Promise.all([once(server, 'connection'), once(theirs, 'connect')])) as [[Socket], unknown]
  return { ours, theirs, close: () => server.close() }
}

it.each([
  ['one that is open', () => undefined],
  ['one whose end was just sent', (socket: Socket) => socket.end()],
  ['one with bytes and its end still to go out', (socket: Socket) => socket.end(Buffer.alloc(2 ** 23))],
  ['one that is destroyed', (socket: Socket) => socket.destroy()],
])('a socket is gone at both ends after a reset: %s', async (_name, prepare) => {
  const { ours, theirs, close } = await pair()
  theirs.on('error', () => undefined).resume()
  ours.on('error', () => undefined)
  const gone = Promise.all([ours, theirs].map((socket) => new Promise((resolve) => socket.once('close', resolve))))
  prepare(ours)
  resetSocket(ours)
  await gone
  expect([ours.destroyed, theirs.destroyed]).toEqual([true, true])
  close()
})
