/**
 * Which addresses and ports are our own: what a sandbox must never reach through us.
 *
 * Promises: a listener on a wildcard address is every address of this machine; a port of ours is refused on loopback too,
 * also where a rule lists loopback.
 */

import { networkInterfaces } from 'node:os'
import type { Authority } from '../net/authority.ts'
import { type Ip, parseIp, unmapIpv4 } from '../net/ip.ts'
import type { OwnEndpoint } from '../policy/decide-address.ts'

/** `address`: an IP address, or a host name, which is ours whatever it resolves to. */
export type Endpoint = { readonly address: string; readonly port: number }

/** How long the machine's own addresses are remembered: interfaces come and go with containers. */
const interfacesKeptMs = 5000

export function createOwnEndpoints(...lists: readonly (() => readonly Endpoint[])[]): OwnEndpoint {
  let local = new Set<string>()
  let readAt = Number.NEGATIVE_INFINITY
  const localAddresses = (): Set<string> => {
    if (performance.now() - readAt > interfacesKeptMs) {
      readAt = performance.now()
      local = new Set(
        Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => canonical(address))),
      )
    }
    return local
  }
  const isLocal = (ip: Ip): boolean => localAddresses().has(ip.text) || ip.text === '::1' || ip.text.startsWith('127.')
  return (ip, port, name) => {
    const isIt = (endpoint: Endpoint): boolean => {
      if (endpoint.port !== port) return false
      if (endpoint.address === name) return true
      const own = canonical(endpoint.address)
      const wildcard = own === '0.0.0.0' || own === '::'
      return own === ip.text || (wildcard && isLocal(ip)) || (isLoopback(own) && isLocal(ip))
    }
    return lists.some((endpoints) => endpoints().some(isIt))
  }
}

/** Of one place; behind a name that changes all the time are no more than these at once. */
const addressesMax = 64

/** Places that are ours by name, and by every address that was found for them. */
export class OwnPlaces {
  readonly #addresses = new Map<string, Endpoint[]>()
  /** All of them; grows as they are resolved. */
  endpoints: readonly Endpoint[] = []

  add({ host, port, text }: Authority): void {
    if (this.#addresses.has(text)) return
    this.#addresses.set(text, [{ address: host.name, port }])
    this.#list()
  }

  /** Of a place that was added. */
  note({ port, text }: Authority, ips: readonly Ip[]): void {
    const known = this.#addresses.get(text)
    const found = ips.filter((ip) => known?.every(({ address }) => address !== ip.text))
    if (known === undefined || found.length === 0) return
    known.push(...found.map((ip) => ({ address: ip.text, port })))
    // The name stays, the oldest addresses go.
    if (known.length > addressesMax + 1) known.splice(1, known.length - addressesMax - 1)
    this.#list()
  }

  #list(): void {
    this.endpoints = [...this.#addresses.values()].flat()
  }
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.')
}

function canonical(address: string): string {
  const ip = parseIp(address.split('%', 1)[0] ?? '')
  return ip === null ? address : (unmapIpv4(ip) ?? ip).text
}
