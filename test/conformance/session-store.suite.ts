/** What every session store promises. A store joins by a line in the test beside this file. */

import { describe, expect, test } from 'vitest'
import type { SessionStore, StoredSession } from '../../src/sessions/session-store.ts'
import { stored } from './stored-session.ts'

const variants: Readonly<Record<string, StoredSession>> = {
  'a named policy': stored,
  'an inline policy': { ...stored, policy: { inline: { rules: [{ host: 'a.test', paths: ['/é"\\\u2028'] }] } } },
  'everything else said': {
    ...stored,
    mode: 'audit',
    sources: ['10.0.0.0/8', '2001:db8::/32'],
    tokenUsed: true,
    idempotencyKey: 'run "1"',
    refusal: 'inside',
  },
  'sealed secrets': { ...stored, secrets: { anthropic: 'A'.repeat(90_000) } },
  'what is left of one that ended': { ...stored, tokenHash: null, asked: 'ab'.repeat(32), endedAt: 3 },
  'no token': { ...stored, tokenHash: null, sources: ['10.0.0.0/8'] },
  'a label of a prototype key': { ...stored, labels: JSON.parse('{"__proto__":"x"}') as Record<string, string> },
}

export function sessionStoreSuite(name: string, open: () => Promise<SessionStore> | SessionStore): void {
  describe(`session store ${name}`, () => {
    for (const [what, session] of Object.entries(variants)) {
      test(`${what} comes back as it was put`, async () => {
        const store = await open()
        await store.put(session)
        expect(await store.load()).toEqual([session])
        await store.close()
      })
    }

    test('put again replaces, and another is another', async () => {
      const store = await open()
      const other = { ...stored, id: 's-bbbbbbbbbbbb' }
      await store.put(stored)
      await store.put(other)
      await store.put({ ...stored, tokenUsed: true })
      expect(await store.load()).toEqual([{ ...stored, tokenUsed: true }, other])
      await store.close()
    })

    test('removed is gone, and removing what is not there is no error', async () => {
      const store = await open()
      await store.put(stored)
      await store.remove(stored.id)
      await store.remove('__proto__')
      expect(await store.load()).toEqual([])
      await store.close()
    })

    test('what is kept is a copy', async () => {
      const store = await open()
      const labels: Record<string, string> = { team: 'a' }
      await store.put({ ...stored, labels })
      labels['team'] = 'b'
      const [first] = await store.load()
      expect(first?.labels).toEqual({ team: 'a' })
      await store.close()
    })
  })
}
