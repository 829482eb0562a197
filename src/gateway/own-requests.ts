/**
 * Requests of the gateway's own, for secrets and tokens: to places that the configuration names, by the same resolver, judge,
 * dial and TLS as a sandbox's, and never through what the environment calls a proxy.
 *
 * Promises: non-public addresses are dialled only where the entry lists them, and metadata never; of a failure only its code
 * is told; where a vault was found is an endpoint of our own from then on.
 */

import type { Config } from '../config/config-schema.ts'
import type { AskOwn, HttpsPlace, OwnRequest } from '../credentials/own-request.ts'
import { type Authority, hostField } from '../net/authority.ts'
import { type AddressPermit, decideAddress } from '../policy/decide-address.ts'
import { decideHost } from '../policy/decide-host.ts'
import { noLimits } from '../policy/parse-limits.ts'
import { Policy } from '../policy/policy.ts'
import { upstreamRoots } from '../tls/upstream-roots.ts'
import { createDial, type Dial, type WaysOf } from '../upstream/dial.ts'
import { failures } from '../upstream/failure.ts'
import { createHostsFile } from '../upstream/hosts-file.ts'
import { createUpstreamContext, OriginPool, type PoolOptions } from '../upstream/origin-pools.ts'
import type { OwnPlaces } from '../upstream/own-endpoints.ts'
import { requestOnce } from '../upstream/own-request.ts'
import { createResolve, type Resolve } from '../upstream/resolve.ts'

const timeoutMs = 10_000
const answerBytesMax = 256 * 1024

export type OwnRequests = {
  readonly ask: AskOwn
  /** Asks where vaults and store are, so that it is known before the first sandbox comes. */
  readonly findOwn: () => Promise<void>
}

/**
 * Vaults are added to `places`, which no sandbox may reach. `store`: where sessions are kept, if that is over the network; it
 * stands there already, and nothing is asked of it here.
 */
export function createOwnRequests(
  config: Config,
  resolve: Resolve,
  places: OwnPlaces,
  { ways, store }: { readonly ways: WaysOf | null; readonly store: Authority | null },
): OwnRequests {
  const vaultPlaces = config.credentials.flatMap(({ secret }) => secret.vault ?? [])
  for (const { authority } of vaultPlaces) places.add(authority)
  const ownPlaces = [...vaultPlaces, ...(store === null ? [] : [{ authority: store }])]
  const options = poolOptions(config, ways)
  // Parsed when the first of them is sent: most gateways send none.
  let context: ReturnType<typeof createUpstreamContext> | null = null

  async function permitFor(place: HttpsPlace): Promise<{ permit: AddressPermit; key: string } | string> {
    const answer = await resolve(place.authority.host)
    if (answer.kind === 'failed') return failures[answer.code].says
    places.note(place.authority, answer.addresses)
    const host = decideHost(grantFor(place), place.authority)
    if (host.kind === 'deny') return host.reason
    const address = decideAddress(host.permit, answer.addresses, () => false)
    return address.kind === 'deny'
      ? `its address is not one that may be asked (${address.reason}); list it under "addresses" if it is right`
      : { permit: address.permit, key: answer.key }
  }

  async function ask({ place, method, path, fields, body }: OwnRequest): ReturnType<AskOwn> {
    const found = await permitFor(place)
    if (typeof found === 'string') return found
    context ??= createUpstreamContext(options.roots)
    const key = {
      scheme: 'https' as const,
      permit: found.permit,
      addresses: found.key,
      policyVersion: 0,
      identity: null,
    }
    const head = { method, target: path, host: hostField(place.authority, 'https'), fields, body }
    const bounds = { timeoutMs, bytesMax: answerBytesMax }
    const answer = await requestOnce(new OriginPool(key, options, context), head, bounds)
    return answer.kind === 'failed' ? failures[answer.code].says : answer
  }

  return {
    ask,
    findOwn: async () => {
      const find = async (place: Pick<HttpsPlace, 'authority'>): Promise<void> => {
        const answer = await resolve(place.authority.host)
        if (answer.kind === 'resolved') places.note(place.authority, answer.addresses)
      }
      await Promise.all(ownPlaces.map(find))
    },
  }
}

export function createResolverOf({ upstream, limits }: Config): Resolve {
  return createResolve({
    servers: upstream.dns.servers,
    hosts: upstream.dns.hosts,
    hostsFile: createHostsFile('/etc/hosts'),
    namesMax: limits.dnsNamesMax,
    timeoutMs: limits.dnsTimeoutMs,
  })
}

function poolOptions({ limits, upstream }: Config, ways: WaysOf | null): PoolOptions {
  return {
    dial: createDialOf(limits, ways),
    roots: upstreamRoots(upstream.roots, upstream.extraCa),
    handshakeTimeoutMs: limits.handshakeTimeoutMs,
    keepAliveMs: limits.originKeepAliveMs,
    headTimeoutMs: timeoutMs,
    bodyIdleMs: timeoutMs,
    headBytesMax: limits.originHeadBytesMax,
    connectionsPerOriginMax: 1,
    poolsPerSessionMax: 1,
  }
}

/** `ways`: where a parent proxy leads out; null: from here. */
export function createDialOf({ connectTimeoutMs, connectAttemptMs }: Config['limits'], ways: WaysOf | null): Dial {
  return createDial({
    timeoutMs: connectTimeoutMs,
    attemptMs: connectAttemptMs,
    ...(ways === null ? {} : { ways }),
  })
}

/** One rule for one place, so that it is judged by what judges everybody. */
export function grantFor({ authority: { host, port }, addresses }: Pick<HttpsPlace, 'addresses' | 'authority'>) {
  const policy = new Policy({
    name: 'own-requests',
    label: 'own-requests',
    version: 1,
    mode: 'enforce',
    rules: [
      {
        id: 'own-requests#1',
        action: 'allow',
        host: { kind: 'exact', text: host.text, host: host.name },
        ports: new Set([port]),
        methods: null,
        paths: null,
        query: null,
        headers: null,
        body: null,
        set: null,
        unsafeUncheckedBody: false,
        addresses,
        tls: 'auto',
        credential: null,
        foreignCredentials: null,
        ranges: false,
        cookies: 'strip',
      },
    ],
    limits: noLimits,
  })
  return { policy, mode: policy.mode, placeholders: new Map<string, string>() }
}
