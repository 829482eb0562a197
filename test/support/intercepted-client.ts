/** A client within a tunnel that the gateway reads, and answers of an origin in pieces. */

import { expect } from 'vitest'
import { RawClient, type RawResponse } from './raw-client.ts'
import type { World, WorldSession } from './world.ts'

export async function openIntercepted(
  world: World,
  { authorization }: Pick<WorldSession, 'authorization'>,
  name: string,
): Promise<RawClient> {
  const client = await RawClient.connect(world.ports.proxy)
  const target = `${name}:${world.ports.https}`
  await client.send(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\nProxy-Authorization: ${authorization}\r\n\r\n`)
  await client.response({ bodiless: true })
  return client.startTls({ servername: name, ca: world.caCertificate })
}

/** The answer to a request as it stands there; fails where none comes. */
export async function askOver(client: RawClient, request: string): Promise<RawResponse> {
  await client.send(request)
  const heard = await client.response({ bodiless: request.startsWith('HEAD ') })
  return typeof heard === 'string' ? expect.fail(heard) : heard
}

/** A whole answer of 200, each piece in a chunk of its own. `trailers` as lines with their ends. */
export function inChunks(pieces: readonly Buffer[], fields = '', trailers = ''): Buffer {
  const chunks = pieces.map((piece) => Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, crlf]))
  const head = Buffer.from(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n${fields}\r\n`, 'latin1')
  return Buffer.concat([head, ...chunks, Buffer.from(`0\r\n${trailers}\r\n`, 'latin1')])
}

const crlf = Buffer.from('\r\n')
