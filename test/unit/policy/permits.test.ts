/** These are compile-time tests: `tsc` fails when a line marked as an error is none. At run time there is nothing to see. */

import { describe, expect, it } from 'vitest'
import type { Authority } from '../../../src/net/authority.ts'
import type { RequestHead } from '../../../src/net/request-head.ts'
import { type AddressPermit, decideAddress } from '../../../src/policy/decide-address.ts'
import { decideHost, type HostPermit } from '../../../src/policy/decide-host.ts'
import { decideRequest } from '../../../src/policy/decide-request.ts'
import type { Grant } from '../../../src/policy/policy.ts'
import type { Dial } from '../../../src/upstream/dial.ts'
import type { SessionPools } from '../../../src/upstream/origin-pools.ts'

type Everything = {
  readonly authority: Authority
  readonly dial: Dial
  readonly grant: Grant
  readonly head: RequestHead
  readonly host: HostPermit
  readonly pools: SessionPools
}

function lookAlikes({ authority, dial, grant, head, host, pools }: Everything): unknown[] {
  const hostLike = {
    authority,
    candidates: host.candidates,
    pinned: false,
    route: 'tunnel' as const,
    wouldDeny: null,
  }
  const addressLike = { authority, addresses: [] }
  return [
    // @ts-expect-error the private field is missing
    decideRequest(grant, hostLike, head),
    // @ts-expect-error the private field is missing
    decideAddress(hostLike, [], () => false),
    // @ts-expect-error an authority is no permit
    dial(authority),
    // @ts-expect-error the private field is missing
    dial(addressLike),
    // @ts-expect-error one permit is not another
    dial(host),
    // @ts-expect-error a decision is no permit until it was looked at
    dial(decideAddress(host, [], () => false)),
    // @ts-expect-error the private field is missing
    pools.poolFor({ scheme: 'https', permit: addressLike, addresses: '', policyVersion: 1, identity: null }),
  ]
}

describe('a permit', () => {
  it('cannot be made by hand or taken for another: it would not compile', () => {
    expect(lookAlikes).toBeTypeOf('function')
  })

  it('is given by the decisions, which accept nothing else', () => {
    const chain = (grant: Grant, authority: Authority, head: RequestHead): AddressPermit | null => {
      const where = decideHost(grant, authority)
      if (where.kind === 'deny') return null
      const what = decideRequest(grant, where.permit, head)
      if (what.kind === 'deny') return null
      const address = decideAddress(what.permit, [], () => false)
      return address.kind === 'deny' ? null : address.permit
    }
    expect(chain).toBeTypeOf('function')
  })
})
