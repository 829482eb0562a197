import { expect, it } from 'vitest'
import type { ForwardRequest, Forwarded } from '../../../src/upstream/forward-request.ts'
import { forwardNegotiated } from '../../../src/upstream/negotiate.ts'

it.each(['h2', 'http/1.1'] as const)(
  'what is thrown on the way to an agreement ends the request alone: %s',
  async (client) => {
    const ended = await new Promise<Forwarded>((resolve) => {
      const pool = { ready: () => null, negotiate: () => Promise.reject(new Error('a bug')) }
      forwardNegotiated({ pool, upgrade: null, body: null, onEnd: resolve } as unknown as ForwardRequest, client)
    })
    expect(ended).toMatchObject({ end: { kind: 'failed' }, started: false })
  },
)
