/** Permits as the decisions give them: there is no other way to one. */

import { parseAuthority } from '../../../src/net/authority.ts'
import { parseIp } from '../../../src/net/ip.ts'
import { type AddressPermit, decideAddress } from '../../../src/policy/decide-address.ts'
import { decideHost } from '../../../src/policy/decide-host.ts'
import { PolicyBook } from '../../../src/policy/policy-book.ts'
import { Policy } from '../../../src/policy/policy.ts'

export function addressPermit(authorityText: string, ...addresses: string[]): AddressPermit {
  const authority = parseAuthority(authorityText)
  const ips = addresses.flatMap((text) => parseIp(text) ?? [])
  if (authority === null || ips.length !== addresses.length) throw new Error(authorityText)
  const rules = [
    {
      host: authority.host.text.replace(/^\[|\]$/g, ''),
      ports: [authority.port],
      addresses: ['127.0.0.0/8', '::1/128', '192.0.2.0/24'],
    },
  ]
  const policy = new PolicyBook({ presets: [], credentials: new Map() }).compileInline({ rules })
  if (!(policy instanceof Policy)) throw new Error(JSON.stringify(policy))
  const host = decideHost({ policy, mode: 'enforce', placeholders: new Map() }, authority)
  if (host.kind === 'deny') throw new Error(host.detail)
  const address = decideAddress(host.permit, ips, () => false)
  if (address.kind === 'deny') throw new Error(`${address.reason} ${address.detail}`)
  return address.permit
}
