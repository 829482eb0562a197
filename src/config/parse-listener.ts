/**
 * What a listener asks of who connects, beside its address: TLS, a certificate, a balancer's header.
 *
 * Promises: a listener that verifies clients says by whose CA; addresses that a balancer vouches for come from the blocks
 * listed and from nowhere else.
 */

import { Type } from 'typebox'
import { type Host, parseHost } from '../net/host.ts'
import { parseCidr, parseIp } from '../net/ip.ts'
import type { IssueList } from '../policy/issue.ts'
import { isRecord } from '../policy/schema-issues.ts'

export type ListenerTls = {
  /** Files of PEM, or whom a certificate of our own CA is for. */
  readonly own: { readonly certificate: string; readonly key: string } | { readonly name: Host }
  /** A file of PEM: who signs for clients; null: they show nothing. */
  readonly clientCa: string | null
}

const closed = { additionalProperties: false }
const Path = Type.String({ minLength: 1, maxLength: 4096 })

export const ListenerTlsShape = Type.Object(
  {
    name: Type.Optional(
      Type.String({
        maxLength: 300,
        description: 'Whom the certificate is for that our CA makes; the address, if absent.',
      }),
    ),
    certificate: Type.Optional(Path),
    key: Type.Optional(Path),
    clientCa: Type.Optional(Path),
  },
  closed,
)

type Written = {
  readonly address: string
  readonly session?: string
  readonly tls?: {
    readonly name?: string
    readonly certificate?: string
    readonly key?: string
    readonly clientCa?: string
  }
  readonly balancers?: readonly string[]
}

export function checkListener(
  listener: Readonly<Record<string, unknown>>,
  at: readonly (number | string)[],
  issues: IssueList,
): void {
  const { address, tls, balancers } = {
    address: listener['address'],
    tls: listener['tls'],
    balancers: listener['balancers'],
  }
  const isUnix = typeof address === 'string' && address.startsWith('unix:')
  for (const key of ['tls', 'balancers'])
    if (isUnix && listener[key] !== undefined)
      issues.add([...at, key], 'is for a port, and this is a Unix socket', `drop "${key}:"`)
  for (const [index, text] of (Array.isArray(balancers) ? balancers : []).entries()) {
    const block = typeof text === 'string' ? parseCidr(text) : null
    if (typeof text === 'string' && block === null)
      issues.add([...at, 'balancers', index], `${JSON.stringify(text)} is no block of addresses`, 'write 10.0.0.0/24')
    // Anybody could then say to be anybody.
    else if (block?.length === 0) issues.add([...at, 'balancers', index], 'is everybody', 'list your balancers')
  }
  if (!isRecord(tls)) return
  const { certificate, key, name } = { certificate: tls['certificate'], key: tls['key'], name: tls['name'] }
  if ((certificate === undefined) !== (key === undefined))
    issues.add([...at, 'tls'], 'has one of certificate and key', 'name both files, or neither')
  if (certificate !== undefined && name !== undefined)
    issues.add([...at, 'tls', 'name'], 'is for a certificate that our CA makes', 'drop it, or the files')
  if (certificate === undefined && !isUnix && typeof address === 'string' && nameOf(address, name) === null)
    issues.add(
      [...at, 'tls', 'name'],
      'nobody knows whom the certificate is for',
      'write the host that clients connect to',
    )
}

/** Of what `checkListener` let pass. */
export function listenerOf(
  { address, session, tls, balancers }: Written,
  resolvePath: (setting: string, written: string) => string,
) {
  return {
    address,
    session: session ?? null,
    tls: tls === undefined ? null : tlsOf(address, tls, resolvePath),
    balancers: (balancers ?? []).flatMap((text) => parseCidr(text) ?? []),
  }
}

function tlsOf(
  address: string,
  { name, certificate, key, clientCa }: NonNullable<Written['tls']>,
  resolvePath: (setting: string, written: string) => string,
): ListenerTls | null {
  const host = nameOf(address, name)
  const ca = clientCa === undefined ? null : resolvePath('listeners', clientCa)
  if (certificate !== undefined && key !== undefined)
    return {
      own: { certificate: resolvePath('listeners', certificate), key: resolvePath('listeners', key) },
      clientCa: ca,
    }
  return host === null ? null : { own: { name: host }, clientCa: ca }
}

/** A wildcard address is no name. */
function nameOf(address: string, name: unknown): Host | null {
  if (name !== undefined) return typeof name === 'string' ? parseHost(name) : null
  const ip = parseIp(address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, ''))
  return ip === null || ip.value === 0n ? null : parseHost(ip.bits === 128 ? `[${ip.text}]` : ip.text)
}
