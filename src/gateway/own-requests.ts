/**
 * Requests of the gateway's own, for secrets and tokens: to places that the configuration names, by the same resolver, judge,
 * dial and TLS as a sandbox's, and never through what the environment calls a proxy.
 *
 * Promises: non-public addresses are dialled only where the entry lists them, and metadata never; of a failure only its code
 * is told; where a vault was found is an endpoint of our own from then on.
 */

import type { Config } from '../config/config-schema.ts'
import type { AskOwn, HttpsPlace, OwnRequest } from '../credentials/own-request.ts'
import { hostField } from '../net/authority.ts'
import { type AddressPermit, decideAddress } from '../policy/decide-address.ts'
import { decideHost } from '../policy/decide-host.ts'
import { noLimits } from '../policy/parse-limits.ts'
import { Policy } from '../policy/policy.ts'
import { upstreamRoots } from '../tls/upstream-roots.ts'
import { createDial } from '../upstream/dial.ts'
import { failures } from '../upstream/failure.ts'
import { createHostsFile } from '../upstream/hosts-file.ts'
import { createUpstreamContext, OriginPool, type PoolOptions } from '../upstream/origin-pools.ts'
import type { Endpoint } from '../upstream/own-endpoints.ts'
import { requestOnce } from '../upstream/own-request.ts'
import { createResolve, type Resolve } from '../upstream/resolve.ts'

const timeoutMs = 10_000
const answerBytesMax = 256 * 1024
/** Of one vault; behind a name that changes all the time are no more than these at once. */
const vaultAddressesMax = 64

export type OwnRequests = {
  readonly ask: AskOwn
  /** Names and addresses of the vaults, which grow as they are resolved: no sandbox may reach them. */
  readonly vaults: Endpoint[]
  /** Asks where the vaults are, so that it is known before the first sandbox comes. */
  readonly findVaults: () => Promise<void>
}

export function createOwnRequests(config: Config): OwnRequests {
  const resolve = createResolverOf(config)
  const vaultPlaces = config.credentials.flatMap(({ secret }) => secret.vault ?? [])
  const vaults = createVaultList(vaultPlaces)
  const options = poolOptions(config)
  // Parsed when the first of them is sent: most gateways send none.
  let context: ReturnType<typeof createUpstreamContext> | null = null

  async function permitFor(place: HttpsPlace): Promise<{ permit: AddressPermit; key: string } | string> {
    const answer = await resolve(place.authority.host)
    if (answer.kind === 'failed') return failures[answer.code].says
    vaults.note(place, answer.addresses)
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
    vaults: vaults.endpoints,
    findVaults: async () => {
      const find = async (place: HttpsPlace): Promise<void> => {
        const answer = await resolve(place.authority.host)
        if (answer.kind === 'resolved') vaults.note(place, answer.addresses)
      }
      await Promise.all(vaultPlaces.map(find))
    },
  }
}

function createVaultList(places: readonly HttpsPlace[]) {
  const endpoints: Endpoint[] = places.map(({ authority: { host, port } }) => ({ address: host.name, port }))
  const most = places.length * (vaultAddressesMax + 1)
  const note = ({ authority }: HttpsPlace, addresses: readonly { readonly text: string }[]): void => {
    const { port } = authority
    if (!places.some((one) => one.authority.text === authority.text)) return
    for (const { text } of addresses) {
      if (endpoints.some((one) => one.address === text && one.port === port)) continue
      endpoints.push({ address: text, port })
      // The names stay, the oldest address goes.
      if (endpoints.length > most) endpoints.splice(places.length, 1)
    }
  }
  return { endpoints, note }
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

function poolOptions({ limits, upstream }: Config): PoolOptions {
  return {
    dial: createDial({ timeoutMs: limits.connectTimeoutMs, attemptMs: limits.connectAttemptMs }),
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

/** One rule for one place, so that it is judged by what judges everybody. */
function grantFor({ authority: { host, port }, addresses }: HttpsPlace) {
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
