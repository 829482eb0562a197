/** A parent proxy on loopback: CONNECT and nothing else, every name and address of which leads to loopback. */

import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import tls from 'node:tls'
import type { ParentConfig } from '../../src/config/parse-parent.ts'
import { sealSource, type SecretReference } from '../../src/credentials/secret-source.ts'
import { envSource } from '../../src/credentials/sources/env.ts'
import { parseAuthority } from '../../src/net/authority.ts'
import type { TestCa } from './test-ca.ts'

/** Instead of letting through. */
export type ParentDeed = (client: net.Socket, head: string) => void

export type ParentStandIn = AsyncDisposable & {
  readonly port: number
  /** Heads as they came. */
  readonly heads: string[]
  deed: ParentDeed
  /** Connections that are open now. */
  readonly open: ReadonlySet<net.Socket>
}

/** As an honest one does, in these pieces. */
export const letThroughSaying =
  (...pieces: readonly string[]): ParentDeed =>
  (client, head) => {
    client.pause()
    const port = Number(/^CONNECT \S+:(\d+) HTTP\/1\.1\r\n/.exec(head)?.[1])
    const origin = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true })
    origin.once('connect', () => {
      void (async () => {
        for (const piece of pieces) {
          client.write(piece)
          if (pieces.length > 1) await delay(10)
        }
        client.pipe(origin).pipe(client)
      })()
    })
    origin.on('error', () => client.end('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n'))
    origin.once('close', () => client.destroy())
    client.once('close', () => origin.destroy())
  }

export const letThrough = letThroughSaying('HTTP/1.1 200 Connection established\r\nVia: 1.1 parent\r\n\r\n')

/** Of TLS with a certificate for `parent.test` where a CA is given. */
export async function startParent(ca: TestCa | null = null): Promise<ParentStandIn> {
  const open = new Set<net.Socket>()
  const heads: string[] = []
  const parent = { deed: letThrough }
  const serve = (client: net.Socket): void => {
    let head = ''
    client.on('error', () => undefined)
    const onData = (chunk: Buffer): void => {
      head += chunk.toString('latin1')
      if (!head.includes('\r\n\r\n')) return
      client.removeListener('data', onData)
      heads.push(head)
      parent.deed(client, head)
    }
    client.on('data', onData)
  }
  const { certificate: cert, key } = ca?.pemFor('parent.test') ?? { certificate: '', key: '' }
  const server =
    ca === null
      ? net.createServer({ allowHalfOpen: true }, serve)
      : tls.createServer({ allowHalfOpen: true, cert, key }, serve)
  server.on('connection', (socket: net.Socket) => {
    open.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => open.delete(socket))
  })
  server.on('tlsClientError', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  return Object.assign(parent, {
    port,
    heads,
    open,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  })
}

/** What the configuration says of it; loopback is not excepted here, since in tests everything is on loopback. */
export function parentConfig(
  address: string,
  more: Partial<Pick<ParentConfig, 'connectBy' | 'except' | 'login' | 'scheme'>> = {},
): ParentConfig {
  const authority = parseAuthority(address)
  if (authority === null) throw new Error(address)
  const defaults = { scheme: 'http', login: null, connectBy: 'address', except: { names: [], blocks: [] } } as const
  return { ...defaults, authority, ...more }
}

/** A password in a variable. */
export function secretIn(variable: string): SecretReference {
  const parsed = sealSource(envSource).parse({ env: variable })
  if (parsed.kind === 'problems') throw new Error(variable)
  return parsed.spec
}
