/** The messages of a SOCKS5 client (RFC 1928, RFC 1929) as bytes, well-formed or not, and a client that sends them. */

import { expect } from 'vitest'
import { RawClient } from './raw-client.ts'
import type { WorldSession } from './world.ts'

/** Bytes, or latin1 text. */
type Name = Buffer | string

export function socksGreeting(...methods: readonly number[]): Buffer {
  return Buffer.from([5, methods.length, ...methods])
}

export function socksCredentials(user: Name, password: Name): Buffer {
  return Buffer.concat([Buffer.from([1]), counted(user), counted(password)])
}

/** CONNECT to a name. */
export function socksConnect(name: Name, port: number): Buffer {
  return socksRequest({ type: 3, address: counted(name), port })
}

export type SocksRequest = {
  readonly version?: number
  readonly command?: number
  readonly reserved?: number
  readonly type: number
  readonly address: Buffer
  readonly port: number
}

export function socksRequest({ version = 5, command = 1, reserved = 0, type, address, port }: SocksRequest): Buffer {
  return Buffer.concat([Buffer.from([version, command, reserved, type]), address, Buffer.from([port >> 8, port & 255])])
}

function counted(text: Name): Buffer {
  const bytes = typeof text === 'string' ? Buffer.from(text, 'latin1') : text
  return Buffer.concat([Buffer.from([bytes.length]), bytes])
}

/** Id and token as the session's credentials. */
export function credentialsOf({ authorization }: Pick<WorldSession, 'authorization'>): Buffer {
  const [id = '', token = ''] = Buffer.from(authorization.slice('Basic '.length), 'base64').toString().split(':')
  return socksCredentials(id, token)
}

/** What a server says to the request. */
export function socksAnswer(code: number): string {
  return `05${code.toString(16).padStart(2, '0')}0001000000000000`
}

/** A client that was told that its tunnel is open. */
export async function openSocks(
  port: number,
  session: Pick<WorldSession, 'authorization'>,
  request: Buffer,
): Promise<RawClient> {
  const client = await RawClient.connect(port)
  await client.send(socksGreeting(2))
  expect(await client.bytes(2)).toBe('0502')
  await client.send(credentialsOf(session))
  expect(await client.bytes(2)).toBe('0100')
  await client.send(request)
  expect(await client.bytes(10)).toBe(socksAnswer(0))
  return client
}
