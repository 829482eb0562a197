/**
 * The proxy that the gateway itself goes out through, joined with what finds, judges and dials everybody.
 *
 * Promises: it may have any address but one that nobody may have, or a door of our own; where it was found no sandbox gets
 * to; its password is read anew for each connection, and is in no failure.
 */

import type { Config } from '../config/config-schema.ts'
import type { ParentConfig } from '../config/parse-parent.ts'
import type { GatewayWorld } from '../gateway.ts'
import type { Host } from '../net/host.ts'
import { contains, type Ip, parseCidr } from '../net/ip.ts'
import { type AddressPermit, decideAddress } from '../policy/decide-address.ts'
import { decideHost } from '../policy/decide-host.ts'
import { matchesPattern } from '../policy/domain-pattern.ts'
import { upstreamRoots } from '../tls/upstream-roots.ts'
import type { WaysOf } from '../upstream/dial.ts'
import { type Failure, failure } from '../upstream/failure.ts'
import { createUpstreamContext } from '../upstream/origin-pools.ts'
import { secureOrigin } from '../upstream/origin-tls.ts'
import { createOwnEndpoints, type Endpoint, type OwnPlaces } from '../upstream/own-endpoints.ts'
import { createParentWays, type Parent } from '../upstream/parent.ts'
import type { Resolve } from '../upstream/resolve.ts'
import { createDialOf, grantFor } from './own-requests.ts'

export type ParentSurroundings = {
  readonly world: Pick<GatewayWorld, 'variable'>
  readonly resolve: Resolve
  readonly doors: readonly Endpoint[]
  readonly places: OwnPlaces
}

/** The operator named it, wherever it is; what nobody may reach stays so. */
const anywhere = ['0.0.0.0/0', '::/0'].flatMap((text) => parseCidr(text) ?? [])

/** Null: there is none, and everything is dialled from here. */
export async function joinParentProxy(config: Config, surroundings: ParentSurroundings): Promise<WaysOf | null> {
  const { proxy, roots, extraCa } = config.upstream
  if (proxy === null) return null
  surroundings.places.add(proxy.authority)
  const find = createFind(proxy, surroundings)
  // Known before the first sandbox comes; one that cannot be found yet is found when it is needed.
  await find()
  return createParentWays({
    find,
    dial: createDialOf(config.limits, null),
    secure: createSecure(proxy, upstreamRoots(roots, extraCa)),
    authorization: createAuthorization(proxy, surroundings.world),
    connectBy: proxy.connectBy,
    isExcepted: (host, ip) => isExcepted(proxy.except, host, ip),
  })
}

function createFind({ authority }: ParentConfig, { resolve, doors, places }: ParentSurroundings): Parent['find'] {
  const grant = grantFor({ authority, addresses: anywhere })
  const isDoor = createOwnEndpoints(() => doors)
  return async (): Promise<AddressPermit | Failure> => {
    const answer = await resolve(authority.host)
    if (answer.kind === 'failed') return answer
    places.note(authority, answer.addresses)
    const host = decideHost(grant, authority)
    const address = host.kind === 'deny' ? host : decideAddress(host.permit, answer.addresses, isDoor)
    return address.kind === 'allow'
      ? address.permit
      : failure('parent_failed', new Error(`${address.detail}: ${address.reason}`))
  }
}

function createSecure({ scheme, authority }: ParentConfig, roots: readonly string[]): Parent['secure'] {
  if (scheme === 'http') return (dialled) => Promise.resolve(dialled)
  const secureContext = createUpstreamContext(roots)
  return async (dialled, timeoutMs) => {
    const found = await secureOrigin(dialled, {
      host: authority.host,
      offer: ['http/1.1'],
      secureContext,
      timeoutMs,
      session: undefined,
      onSession: () => undefined,
    })
    return found.kind === 'failed' ? found : { ...dialled, socket: found.socket }
  }
}

function createAuthorization(
  { login }: ParentConfig,
  { variable }: ParentSurroundings['world'],
): Parent['authorization'] {
  if (login === null) return () => Promise.resolve(null)
  // Nothing of an answer shows it, so a short one can be guessed no better than any password.
  const source = login.secret.open({ unsafeShortSecret: true }, { variable, now: () => performance.now() })
  return async () => {
    const password = await source.read()
    if (password === null)
      return failure('parent_failed', new Error(`its password: ${source.problem() ?? 'not there'}`))
    return `Basic ${Buffer.from(`${login.user}:${password.reveal()}`).toString('base64')}`
  }
}

function isExcepted({ names, blocks }: ParentConfig['except'], host: Host, ip: Ip): boolean {
  return names.some((pattern) => matchesPattern(pattern, host)) || blocks.some((block) => contains(block, ip))
}
