/** Values that sessions bring, in the book of credentials. */

import { describe, expect, it } from 'vitest'
import { CredentialBook } from '../../../src/credentials/credential-book.ts'
import { parseCredentials } from '../../../src/credentials/credential-schema.ts'
import type { OwnRequest } from '../../../src/credentials/own-request.ts'
import { createSecretSeal } from '../../../src/credentials/sealed-secret.ts'

const shared = 'sk-shared-0123456789abcdef'
const own = 'sk-own-0123456789abcdef'
const seal = createSecretSeal(Buffer.alloc(32, 1))

const entries = [
  { name: 'api', kind: 'bearer', secret: { env: 'KEY' }, hosts: ['api.test'] },
  { name: 'each', kind: 'bearer', secret: { session: 'required' }, hosts: ['each.test'] },
  {
    name: 'oauth',
    kind: 'oauth2-client-credentials',
    secret: { env: 'KEY' },
    hosts: ['oauth.test'],
    tokenUrl: 'https://login.test/token',
    clientId: 'us',
  },
]

function createBook(withSeal = seal) {
  const parsed = parseCredentials(entries)
  if (parsed.kind === 'issues') throw new Error(JSON.stringify(parsed.issues))
  const logged: string[] = []
  const asked: OwnRequest[] = []
  const book = new CredentialBook({
    credentials: parsed.credentials,
    placeholderKey: Buffer.alloc(32),
    seal: withSeal,
    world: {
      variable: () => shared,
      now: () => 0,
      network: {
        epochMs: () => 0,
        ask: (request) => {
          asked.push(request)
          const body = JSON.stringify({ access_token: `token-${asked.length}-0123456789`, token_type: 'Bearer' })
          return Promise.resolve({ status: 200, body: Buffer.from(body) })
        },
      },
    },
    log: (message) => logged.push(message),
  })
  const textOf = async (name: string, brought: Parameters<CredentialBook['secretOf']>[1] = null) =>
    (await book.secretOf(name, brought))?.reveal() ?? null
  return { book, logged, asked, textOf }
}

const sealed = (name: string, value = own) => ({ [name]: seal.seal('platform', name, value) })

describe('a value that a session brought', () => {
  it('is given to that session, and the configured one to the others', async () => {
    const { textOf } = createBook()
    expect(await textOf('api', sealed('api'))).toBe(own)
    expect(await textOf('api')).toBe(shared)
    expect(await textOf('api', sealed('each'))).toBe(shared)
  })

  it('is all there is of a credential that has none of its own', async () => {
    const { textOf, logged } = createBook()
    expect(await textOf('each')).toBeNull()
    expect(logged).toEqual(['credential each: has no value but what a session brings'])
    expect(await textOf('each', sealed('each'))).toBe(own)
  })

  const broken: readonly (readonly [why: string, brought: Readonly<Record<string, string>>])[] = [
    ['that was sealed with another key', { api: createSecretSeal(Buffer.alloc(32, 2)).seal('p', 'api', own) }],
    ['that was sealed for another credential', { api: seal.seal('platform', 'each', own) }],
    ['that is damaged', { api: 'AAAA' }],
    ['that can be no secret', sealed('api', 'a\r\nb: 0123456789abcdef')],
  ]
  it.each(broken)('%s is none, the configured one does not step in, and it is told once', async (_why, brought) => {
    const { textOf, logged } = createBook()
    expect([await textOf('api', brought), await textOf('api', brought)]).toEqual([null, null])
    expect(logged).toHaveLength(1)
    expect(logged[0]).not.toContain('0123456789abcdef')
  })

  it('makes tokens of its own, which a refusal of theirs renews and no other', async () => {
    const { book, textOf, asked } = createBook()
    const brought = sealed('oauth')
    expect(await textOf('oauth', brought)).toBe('token-1-0123456789')
    expect(await textOf('oauth')).toBe('token-2-0123456789')
    expect(await textOf('oauth', brought)).toBe('token-1-0123456789')
    book.refused('oauth', brought)
    expect(await textOf('oauth')).toBe('token-2-0123456789')
    expect(await textOf('oauth', brought)).toBe('token-3-0123456789')
    expect(asked).toHaveLength(3)
  })

  it('is judged by the rules of its credential', () => {
    const { book } = createBook()
    expect(book.judgeValue('api', own)).toBeNull()
    expect(book.judgeValue('api', 'short')).toMatch(/16 bytes/)
    expect(book.judgeValue('none', own)).not.toBeNull()
  })
})
