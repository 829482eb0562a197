/**
 * Deliver, first step: from a name to its addresses. The only file that asks DNS.
 *
 * Promises: only a `Host` is ever asked for, as an absolute name (no search domains); all addresses come back, so that
 * every one can be judged; answers are kept for their TTL within bounds, one question per name in flight.
 */

import { type LookupAddress, promises as dns } from 'node:dns'
import { LRUCache } from 'lru-cache'
import type { Host } from '../net/host.ts'
import { type Ip, parseIp } from '../net/ip.ts'
import { type Failure, failure } from './failure.ts'
import type { HostsFile } from './hosts-file.ts'

/** `key` is one text for the whole set, in a fixed order: two answers with the same key are the same answer. */
type Resolved = { readonly kind: 'resolved'; readonly addresses: readonly Ip[]; readonly key: string }

export type Resolve = (host: Host) => Promise<Resolved | Failure> | Resolved

export type ResolveOptions = {
  /** `address:port` of the servers to ask; null: the system's. */
  readonly servers: readonly string[] | null
  /** The system's own names, asked where `servers` is null; null: none. */
  readonly hostsFile: HostsFile | null
  /** Fixed names: lower-case name to addresses. */
  readonly hosts: ReadonlyMap<string, readonly Ip[]>
  readonly namesMax: number
  readonly timeoutMs: number
}

const answersMax = 64
const ttlBoundsSeconds = { least: 1, most: 300, failed: 2 } as const

export function createResolve(options: ResolveOptions): Resolve {
  const resolver = new dns.Resolver({ timeout: options.timeoutMs, tries: 2, maxTimeout: options.timeoutMs })
  if (options.servers !== null) resolver.setServers(options.servers)
  const known = new LRUCache<string, Promise<Resolved | Failure> | Resolved>({ max: options.namesMax })

  async function ask(host: Host): Promise<Resolved | Failure> {
    // The final dot makes the question absolute, whatever /etc/resolv.conf says.
    const name = `${host.name}.`
    const [four, six] = await Promise.allSettled([
      resolver.resolve4(name, { ttl: true }),
      resolver.resolve6(name, { ttl: true }),
    ])
    const found = [...(four.status === 'fulfilled' ? four.value : []), ...(six.status === 'fulfilled' ? six.value : [])]
    const answer = found.length === 0 ? noAnswer(host, [four, six]) : resolvedFrom(host, found)
    const seconds = answer.kind === 'failed' ? ttlBoundsSeconds.failed : Math.min(...found.map(({ ttl }) => ttl))
    const kept = Math.min(Math.max(seconds, ttlBoundsSeconds.least), ttlBoundsSeconds.most)
    known.set(host.name, answer.kind === 'failed' ? Promise.resolve(answer) : answer, { ttl: kept * 1000 })
    return answer
  }

  return (host) => {
    if (host.ip !== null) return resolved([host.ip])
    const remembered = known.get(host.name)
    if (remembered !== undefined) return remembered
    const fixed = options.hosts.get(host.name)
    if (fixed !== undefined) {
      const answer = resolved(fixed)
      known.set(host.name, answer)
      return answer
    }
    const local = options.servers === null ? (options.hostsFile?.(host.name) ?? null) : null
    if (local !== null) {
      const answer = resolved(local)
      known.set(host.name, answer, { ttl: ttlBoundsSeconds.least * 1000 })
      return answer
    }
    const asked = ask(host)
    known.set(host.name, asked, { ttl: 4 * options.timeoutMs })
    return asked
  }
}

function resolved(addresses: readonly Ip[]): Resolved {
  return { kind: 'resolved', addresses, key: addresses.map(({ text }) => text).join(' ') }
}

function resolvedFrom(host: Host, found: readonly { readonly address: string }[]): Resolved | Failure {
  if (found.length > answersMax)
    return failure('dns_failed', new Error(`${host.name}: ${found.length} addresses in one answer`))
  const addresses: Ip[] = []
  for (const { address } of found) {
    const ip = parseIp(address)
    if (ip === null)
      return failure('dns_failed', new Error(`${host.name}: answer ${JSON.stringify(address)} is no address`))
    addresses.push(ip)
  }
  // IPv4 first: where IPv6 is half configured it fails slowly, where both work either will do.
  addresses.sort((a, b) => a.bits - b.bits || (a.value < b.value ? -1 : 1))
  return resolved(addresses)
}

function noAnswer(
  host: Host,
  results: readonly PromiseSettledResult<LookupAddress[] | { address: string }[]>[],
): Failure {
  const errors = results.flatMap((result) => (result.status === 'rejected' ? [codeOf(result.reason)] : []))
  return failure(
    errors.includes('ETIMEOUT') ? 'dns_timeout' : 'dns_failed',
    new Error(`${host.name}: ${errors.join(', ') || 'no address'}`),
  )
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : String(error)
}
