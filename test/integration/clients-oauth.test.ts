/**
 * An OAuth 2 SDK that gets its tokens itself, in a sandbox that holds nothing but placeholders.
 */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Site, startSite } from '../support/local-ca-origin.ts'
import { type RealGateway, startRealGateway } from '../support/real-clients.ts'

const secrets = { machine: 'real-client-secret-0123456789', person: 'real-refresh-token-0123456789' }
const issued = 'issued-by-the-real-endpoint-0123456789'

let site: Site
let world: RealGateway
/** What was asked of the real token endpoint, and with what the API was opened. */
const asked: string[] = []
const opened: (string | undefined)[] = []

beforeAll(async () => {
  site = await startSite(async (request, response) => {
    response.setHeader('content-type', 'application/json')
    if (request.headers.host?.startsWith('api.') === true) {
      opened.push(request.headers.authorization)
      response.end('{"balance":42}')
      return
    }
    let body = ''
    for await (const chunk of request) body += String(chunk)
    asked.push(`${request.headers.authorization ?? ''} ${body}`)
    response.end(JSON.stringify({ access_token: issued, token_type: 'Bearer', expires_in: 3600 }))
  })
  const own = { addresses: ['127.0.0.0/8'], ports: [site.httpsPort] }
  const common = {
    tokenUrl: `https://login.test:${site.httpsPort}/token`,
    addresses: own.addresses,
    hosts: ['api.test'],
  }
  world = await startRealGateway({
    hosts: ['api.test', 'login.test'],
    originCa: site.ca.certificate,
    policies: Object.fromEntries(
      Object.keys(secrets).map((credential) => [
        credential,
        ['api.test', 'login.test'].map((host) => ({ ...own, host, credential })),
      ]),
    ),
    credentials: [
      {
        ...common,
        name: 'machine',
        kind: 'oauth2-client-credentials',
        clientId: 'client:1',
        placeholder: { env: 'GIVEN' },
      },
      { ...common, name: 'person', kind: 'oauth2-refresh', clientId: 'public', placeholder: { env: 'GIVEN' } },
    ],
    secrets,
  })
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
  await site?.[Symbol.asyncDispose]()
})
beforeEach(() => {
  asked.length = 0
  opened.length = 0
})

/** Runs a program with the SDK in a new sandbox; it prints one JSON value. */
async function run(policy: string, steps: string): Promise<Record<string, unknown>> {
  const sandbox = await world.sandbox(policy)
  const program = `
    const [module, port] = process.argv.slice(1)
    const sdk = await import(module)
    const given = process.env.GIVEN
    const server = { issuer: 'https://login.test', token_endpoint: 'https://login.test:' + port + '/token' }
    ${steps}
    const tokens = await get()
    const answer = await sdk.fetchProtectedResource(config, tokens.access_token, new URL('https://api.test:' + port + '/balance'), 'GET')
    console.log(JSON.stringify({ given, token: tokens.access_token, refresh: tokens.refresh_token, lives: tokens.expiresIn(), ...(await answer.json()) }))
  `
  const args = ['--input-type=module', '-e', program, import.meta.resolve('openid-client'), String(site.httpsPort)]
  const ran = await sandbox.run(process.execPath, args)
  expect(ran.code, ran.said).toBe(0)
  for (const secret of [...Object.values(secrets), issued]) expect(ran.said).not.toContain(secret)
  return JSON.parse(ran.stdout) as Record<string, unknown>
}

describe('openid-client', () => {
  it.each(['ClientSecretBasic', 'ClientSecretPost'])(
    'gets a token with its client secret by %s, and uses it',
    async (by) => {
      const told = await run(
        'machine',
        `const config = new sdk.Configuration(server, 'client:1', {}, sdk.${by}(given))
       const get = () => sdk.clientCredentialsGrant(config, { scope: 'read' })`,
      )
      expect(told).toMatchObject({ token: told['given'], balance: 42 })
      expect(told['lives']).toBeGreaterThan(3500)
      expect(opened).toEqual([`Bearer ${issued}`])
      expect(asked.join('')).not.toContain(String(told['given']))
    },
  )

  it('refreshes as a public client, and uses what it got', async () => {
    const told = await run(
      'person',
      `const config = new sdk.Configuration(server, 'public', {}, sdk.None())
       const get = () => sdk.refreshTokenGrant(config, given)`,
    )
    expect(told).toMatchObject({ token: told['given'], refresh: told['given'], balance: 42 })
    expect(opened).toEqual([`Bearer ${issued}`])
    expect(asked).toEqual([` grant_type=refresh_token&refresh_token=${secrets.person}&client_id=public`])
  })
})
