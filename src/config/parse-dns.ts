/** `upstream.dns`: name servers to ask and fixed names, from text to values. */

import { type Ip, parseIp } from '../net/ip.ts'
import { parseHost } from '../net/host.ts'
import { parsePort } from '../net/authority.ts'
import type { IssueList } from '../policy/issue.ts'
import { isRecord } from '../policy/schema-issues.ts'
import type { Config } from './config-schema.ts'

const at = ['upstream', 'dns']

export function parseDns(written: Readonly<Record<string, unknown>>, issues: IssueList): Config['upstream']['dns'] {
  const { servers, hosts } = { servers: written['servers'], hosts: written['hosts'] }
  for (const [index, server] of (Array.isArray(servers) ? servers : []).entries()) {
    if (typeof server === 'string' && !isServer(server))
      issues.add(
        [...at, 'servers', index],
        `${JSON.stringify(server)} is no name server`,
        'write 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:53',
      )
  }
  const fixed = new Map<string, readonly Ip[]>()
  for (const [name, addresses] of Object.entries(isRecord(hosts) ? hosts : {})) {
    const host = parseHost(name)
    if (host === null || host.ip !== null)
      issues.add([...at, 'hosts', name], 'is not the name of a host', 'write a full name, as in git.corp.example')
    const ips = (Array.isArray(addresses) ? addresses : [addresses]).map((one) =>
      typeof one === 'string' ? parseIp(one) : null,
    )
    if (ips.includes(null))
      issues.add([...at, 'hosts', name], 'has something that is no address', 'write addresses, as in 10.2.0.7')
    if (host !== null)
      fixed.set(
        host.name,
        ips.flatMap((ip) => ip ?? []),
      )
  }
  return { servers: Array.isArray(servers) ? servers.map(String) : null, hosts: fixed }
}

/** An address, or an address and a port; IPv6 with a port is in brackets. */
function isServer(text: string): boolean {
  if (parseIp(text) !== null) return true
  const colon = text.lastIndexOf(':')
  const address = text.slice(0, colon)
  const ip = address.startsWith('[') && address.endsWith(']') ? parseIp(address.slice(1, -1)) : parseIp(address)
  return (
    colon > 0 &&
    ip !== null &&
    (ip.bits === 128) === address.startsWith('[') &&
    parsePort(text.slice(colon + 1)) !== null
  )
}
