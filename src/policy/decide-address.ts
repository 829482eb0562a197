/**
 * From a name's answers to addresses we may dial. Pure.
 *
 * Promises: every answer is judged, not just the one we pick: a mixed answer is how a rebinding resolver looks half-way
 * through, and choosing the innocent half would make the outcome depend on luck. The permit carries the addresses, so
 * what is dialled is what was judged.
 */

import type { Authority } from '../net/authority.ts'
import { type Cidr, contains, type Ip } from '../net/ip.ts'
import { classifyAddress, innerAddress, isNever } from './address-class.ts'
import { allow, type Decision, deny } from './decision.ts'
import type { HostPermit } from './decide-host.ts'
import type { RequestPermit } from './decide-request.ts'

class AddressPermit {
  readonly #minted = true
  readonly authority: Authority
  readonly addresses: readonly Ip[]
  /** A rule lists what they must be: it is these, and no others that somebody else finds for the name. */
  readonly pinned: boolean
  constructor(authority: Authority, addresses: readonly Ip[], pinned: boolean) {
    this.authority = authority
    this.addresses = addresses
    this.pinned = pinned
    void this.#minted
  }
}
export type { AddressPermit }

/** Whether an address and port, or the name that was asked for, is one of our own (listeners, vaults). Built by the gateway. */
export type OwnEndpoint = (ip: Ip, port: number, name: string) => boolean

export function decideAddress(
  permit: HostPermit | RequestPermit,
  answers: readonly Ip[],
  isOwn: OwnEndpoint,
): Decision<AddressPermit> {
  const authority = 'head' in permit ? permit.head.authority : permit.authority
  const pins =
    'head' in permit
      ? permit.addresses
      : permit.candidates.flatMap((rule) =>
          rule.action === 'allow' && rule.addresses !== null ? [rule.addresses] : [],
        )
  if (answers.length === 0) return deny('address_not_public', `${authority.text} has no address`)
  for (const ip of answers) {
    const inner = innerAddress(ip)
    const kind = classifyAddress(ip)
    const said = (): string => `${authority.text} is ${ip.text} (${kind})`
    if (isOwn(inner, authority.port, authority.host.name)) return deny('own_address', said())
    if (isNever(kind)) return deny('address_not_public', said())
    if (pins.length === 0) {
      if (kind !== 'public') return deny('address_not_public', said())
    } else if (!pins.every((list) => holds(list, ip, inner))) {
      return deny('address_not_allowed', said())
    }
  }
  return allow(new AddressPermit(authority, answers, pins.length > 0))
}

/** Lists and addresses are frozen values that live as long as their policy and their answer: each pair is compared once. */
const compared = new WeakMap<readonly Cidr[], WeakMap<Ip, boolean>>()

function holds(list: readonly Cidr[], ip: Ip, inner: Ip): boolean {
  const before = compared.get(list) ?? new WeakMap<Ip, boolean>()
  const known = before.get(ip)
  if (known !== undefined) return known
  const found = list.some((block) => contains(block, ip) || contains(block, inner))
  compared.set(list, before.set(ip, found))
  return found
}
