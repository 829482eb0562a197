/** Streams that a sandbox holds open while a test changes what it may do. */

import type { Site } from './local-ca-origin.ts'
import { fieldOf, RawClient } from './raw-client.ts'
import { type RealGateway, type Sandbox, until } from './real-clients.ts'

export type Through = 'interception' | 'plain' | 'tunnel'

export type Held = {
  /** Bytes that came so far, after decryption. */
  readonly bytes: () => number
  /** How it ended, if it has. */
  readonly end: () => RawClient['end']
  /** Milliseconds until it ends; fails when it does not. */
  readonly ended: (timeoutMs?: number) => Promise<number>
  readonly flowing: () => Promise<void>
  readonly destroy: () => void
}

type Place = Pick<Sandbox, 'authorization' | 'caCertificate'>

/** A client on the proxy's first listener, inside TLS to `host` where `through` says so; nothing is asked yet. */
export async function reach(
  world: RealGateway,
  site: Site,
  { authorization, caCertificate }: Place,
  host: string,
  through: Through,
): Promise<{ readonly outer: RawClient; readonly client: RawClient; readonly head: (path: string) => string }> {
  const outer = await RawClient.connect(Number(world.gateway.proxies[0]?.split(':')[1]))
  const proof = `Proxy-Authorization: ${authorization}\r\n`
  if (through === 'plain') {
    const authority = `${host}:${site.httpPort}`
    const head = (path: string): string =>
      `GET http://${authority}${path} HTTP/1.1\r\nHost: ${authority}\r\n${proof}\r\n`
    return { outer, client: outer, head }
  }
  const authority = `${host}:${site.httpsPort}`
  await outer.send(`CONNECT ${authority} HTTP/1.1\r\n${proof}\r\n`)
  const opened = await outer.response({ bodiless: true })
  if (typeof opened === 'string' || opened.status !== 200)
    throw new Error(typeof opened === 'string' ? opened : `${opened.status} ${fieldOf(opened, 'x-egress-reason')}`)
  const ca = through === 'tunnel' ? site.ca.certificate : caCertificate
  const client = await outer.startTls({ servername: host, ca })
  return { outer, client, head: (path) => `GET ${path} HTTP/1.1\r\nHost: ${authority}\r\n\r\n` }
}

/** `/drip` of the site, read for as long as it comes. */
export async function hold(
  world: RealGateway,
  site: Site,
  place: Place,
  host: string,
  through: Through,
): Promise<Held> {
  const { outer, client, head } = await reach(world, site, place, host, through)
  await client.send(head('/drip'))
  const bytes = (): number => client.unread.length
  const flowing = async (): Promise<void> => {
    const before = bytes()
    await until(() => bytes() > before, `more of ${host}`)
  }
  await flowing()
  return {
    bytes,
    end: () => client.end,
    ended: async (timeoutMs = 5000) => {
      const began = performance.now()
      await until(() => client.end !== null, `the end of ${host}`, timeoutMs)
      return performance.now() - began
    },
    flowing,
    destroy: () => outer.destroy(),
  }
}
