/** What the proxy's own ports are made of beside sockets: their TLS, and how clients are told of them. */

import { readFile } from 'node:fs/promises'
import type { ListenerConfig } from '../config/config-schema.ts'
import type { ListenerTls } from '../config/parse-listener.ts'
import { StartError } from '../gateway.ts'
import type { TlsDoor } from '../listeners/proxy-listener.ts'
import type { Scheme } from '../net/authority.ts'
import { createProxyTls, type DoorCertificate } from '../tls/proxy-door.ts'
import type { SigningCa } from '../tls/signing-ca.ts'

export type ClientUrl = { readonly scheme: Scheme; readonly authority: string }

export function createTlsDoor(
  { own, clientCa }: ListenerTls,
  parts: {
    readonly ca: Pick<SigningCa, 'mint'>
    readonly handshakeTimeoutMs: number
    readonly log: (message: string) => void
  },
): TlsDoor {
  const certificate = (): DoorCertificate | Promise<DoorCertificate> =>
    'name' in own ? parts.ca.mint(own.name) : readPair(own.certificate, own.key)
  return async (onOpen) => {
    const { handshakeTimeoutMs, log } = parts
    const trusted = clientCa === null ? null : await read(clientCa)
    try {
      return await createProxyTls({ certificate, clientCa: trusted, handshakeTimeoutMs, onOpen, log })
    } catch (error) {
      if (error instanceof StartError) throw error
      throw new StartError(`listeners: TLS cannot be spoken: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
}

async function readPair(certificate: string, key: string): Promise<DoorCertificate> {
  return { certificate: await read(certificate), key: await read(key) }
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch {
    throw new StartError(`listeners: ${file} cannot be read`)
  }
}

/** The first port in the clear, else the first there is; a wildcard is reached by loopback from this machine. */
export function clientUrlOf(listeners: readonly ListenerConfig[], bound: readonly string[]): ClientUrl {
  const ports = listeners.flatMap(({ tls = null }, index) => {
    const address = bound[index] ?? 'unix:'
    return address.startsWith('unix:') ? [] : [{ tls, address }]
  })
  const chosen = ports.find(({ tls }) => tls === null) ?? ports[0]
  if (chosen === undefined) return { scheme: 'http', authority: '127.0.0.1:3128' }
  const { tls } = chosen
  const address = chosen.address.replace(/^0\.0\.0\.0:/, '127.0.0.1:').replace(/^\[::\]:/, '[::1]:')
  if (tls === null) return { scheme: 'http', authority: address }
  const port = address.slice(address.lastIndexOf(':'))
  return { scheme: 'https', authority: 'name' in tls.own ? `${tls.own.name.text}${port}` : address }
}
