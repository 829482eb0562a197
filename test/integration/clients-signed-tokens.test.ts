/**
 * SDKs that sign a token with a private key to get another one: in a sandbox their key is one that they made up, and all
 * that they hold of the account is a placeholder for its name.
 */

import { createVerify, generateKeyPairSync } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Site, startSite } from '../support/local-ca-origin.ts'
import { type RealGateway, startRealGateway } from '../support/real-clients.ts'

const { privateKey, publicKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
})
const issued = { google: 'ya29.issued-by-google-0123456789', github: 'ghs_issuedByGitHub0123456789ABCDEF' }

let site: Site
let world: RealGateway
/** What was asked of the real issuers, and with what the APIs were opened. */
const proofs: { readonly issuer: unknown; readonly isReal: boolean }[] = []
const opened: (string | undefined)[] = []

function prove(token: string): void {
  const [head = '', claims = '', signature = ''] = token.split('.')
  const isReal = createVerify('RSA-SHA256').update(`${head}.${claims}`).verify(publicKey, signature, 'base64url')
  const { iss } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { iss: unknown }
  proofs.push({ issuer: iss, isReal })
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { authorization, host = '' } = request.headers
  response.setHeader('content-type', 'application/json')
  if (host.startsWith('login.')) {
    prove(new URLSearchParams(await text(request)).get('assertion') ?? '')
    response.end(JSON.stringify({ access_token: issued.google, token_type: 'Bearer', expires_in: 3600 }))
  } else if (request.url?.endsWith('/access_tokens') === true) {
    prove(authorization?.split(' ')[1] ?? '')
    response.statusCode = 201
    response.end(JSON.stringify({ token: issued.github, expires_at: new Date(Date.now() + 3_600_000).toISOString() }))
  } else {
    opened.push(authorization)
    response.end(JSON.stringify({ said: `opened with ${authorization}` }))
  }
}

beforeAll(async () => {
  site = await startSite(answer)
  const own = { addresses: ['127.0.0.0/8'], ports: [site.httpsPort] }
  const { addresses } = own
  world = await startRealGateway({
    hosts: ['google.test', 'login.test', 'api.github.test'],
    originCa: site.ca.certificate,
    policies: {
      google: ['google.test', 'login.test'].map((host) => ({ ...own, host, credential: 'google' })),
      github: [{ ...own, host: 'api.github.test', credential: 'app' }],
    },
    credentials: [
      {
        name: 'google',
        kind: 'gcp-service-account',
        scopes: ['https://www.googleapis.com/auth/devstorage.read_only'],
        tokenUrl: `https://login.test:${site.httpsPort}/token`,
        addresses,
        hosts: ['google.test'],
        placeholder: { env: 'CLIENT_EMAIL', like: 'agent-{20}@sandbox.iam.gserviceaccount.com' },
      },
      {
        name: 'app',
        kind: 'github-app',
        appId: 1234,
        installationId: 77,
        apiUrl: `https://api.github.test:${site.httpsPort}`,
        addresses,
        hosts: ['api.github.test'],
        placeholder: { env: 'GITHUB_APP_ID', like: 'Iv{20}' },
      },
    ],
    secrets: {
      google: JSON.stringify({
        type: 'service_account',
        client_email: 'real@project.iam.gserviceaccount.com',
        private_key: privateKey,
      }),
      app: privateKey,
    },
  })
}, 60_000)
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
  await site?.[Symbol.asyncDispose]()
})
beforeEach(() => {
  proofs.length = 0
  opened.length = 0
})

/** Runs a program with the SDK in a new sandbox; it prints one JSON value. */
async function run(policy: string, module: string, steps: string): Promise<Record<string, unknown>> {
  const sandbox = await world.sandbox(policy)
  const program = `
    import { generateKeyPairSync } from 'node:crypto'
    const [module, port] = process.argv.slice(1)
    const sdk = await import(module)
    const format = { type: 'pkcs8', format: 'pem' }
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048, privateKeyEncoding: format, publicKeyEncoding: { type: 'spki', format: 'pem' } })
    const { CLIENT_EMAIL, GITHUB_APP_ID } = process.env
    ${steps}
  `
  const args = ['--input-type=module', '-e', program, import.meta.resolve(module), String(site.httpsPort)]
  const ran = await sandbox.run(process.execPath, args)
  expect(ran.code, ran.said).toBe(0)
  for (const secret of [...Object.values(issued), privateKey.slice(60, 100)]) expect(ran.said).not.toContain(secret)
  return JSON.parse(ran.stdout) as Record<string, unknown>
}

describe('google-auth-library', () => {
  // Its token endpoint is written into it; here it is another host's.
  const client = `
    const client = new sdk.JWT({ email: CLIENT_EMAIL, key: privateKey, scopes: ['https://www.googleapis.com/auth/cloud-platform'] })
    const toLogin = async (config) => ({ ...config, url: new URL(String(config.url).replace('https://oauth2.googleapis.com', 'https://login.test:' + port)) })
    client.transporter.interceptors.request.add({ resolved: toLogin })`

  it('gets a token with the key it made up, and opens the API with the account of ours', async () => {
    const told = await run(
      'google',
      'google-auth-library',
      `${client}
       const { token } = await client.getAccessToken()
       const { data } = await client.request({ url: 'https://google.test:' + port + '/v1/buckets' })
       console.log(JSON.stringify({ ...data, isPlaceholder: token === CLIENT_EMAIL }))`,
    )
    expect(told).toEqual({ said: `opened with Bearer ${'*'.repeat(issued.google.length)}`, isPlaceholder: true })
    expect(opened).toEqual([`Bearer ${issued.google}`])
    expect(proofs).toEqual([{ issuer: 'real@project.iam.gserviceaccount.com', isReal: true }])
  })

  it('opens the API with a token that it signed itself, which stays behind', async () => {
    const told = await run(
      'google',
      'google-auth-library',
      `const client = new sdk.JWT({ email: CLIENT_EMAIL, key: privateKey })
       const url = 'https://google.test:' + port + '/v1/buckets'
       const headers = await client.getRequestHeaders(url)
       const answer = await fetch(url, { headers })
       console.log(JSON.stringify({ ...(await answer.json()), isSigned: headers.get('authorization').startsWith('Bearer eyJ') }))`,
    )
    expect(told).toMatchObject({ said: `opened with Bearer ${'*'.repeat(issued.google.length)}`, isSigned: true })
    expect(opened).toEqual([`Bearer ${issued.google}`])
  })

  it('with an account of its own gets nowhere', async () => {
    const told = await run(
      'google',
      'google-auth-library',
      `${client.replace('CLIENT_EMAIL', "'attacker@evil.iam.gserviceaccount.com'")}
       const refused = await client.getAccessToken().catch((error) => error)
       const other = new sdk.JWT({ email: 'attacker@evil.iam.gserviceaccount.com', key: privateKey })
       const url = 'https://google.test:' + port + '/v1/buckets'
       const answer = await fetch(url, { headers: await other.getRequestHeaders(url) })
       console.log(JSON.stringify([refused.response.data.reason, (await answer.json()).reason]))`,
    )
    expect(told).toEqual(['placeholder_missing', 'foreign_credential'])
    expect([opened, proofs]).toEqual([[], []])
  })
})

describe('@octokit/auth-app', () => {
  const program = (appId: string, installationId: number): string => `
    const { request } = await import(process.argv[1].replace('/auth-app/', '/request/').replace('dist-node', 'dist-bundle'))
    const at = request.defaults({ baseUrl: 'https://api.github.test:' + port })
    const auth = sdk.createAppAuth({ appId: ${appId}, privateKey, installationId: ${installationId}, request: at })`

  it('gets an installation token with the key it made up, and opens the API with the app of ours', async () => {
    const told = await run(
      'github',
      '@octokit/auth-app',
      `${program('GITHUB_APP_ID', 77)}
       const { token, expiresAt } = await auth({ type: 'installation' })
       const { data } = await at.defaults({ request: { hook: auth.hook } })('GET /repos/acme/site')
       console.log(JSON.stringify({ ...data, isPlaceholder: token === GITHUB_APP_ID, lives: Date.parse(expiresAt) - Date.now() }))`,
    )
    expect(told).toMatchObject({ said: `opened with Bearer ${'*'.repeat(issued.github.length)}`, isPlaceholder: true })
    expect(told['lives']).toBeGreaterThan(3_500_000)
    expect(opened).toEqual([`Bearer ${issued.github}`])
    expect(proofs).toEqual([{ issuer: '1234', isReal: true }])
  })

  it('with an app of its own gets nowhere', async () => {
    const told = await run(
      'github',
      '@octokit/auth-app',
      `${program('4321', 77)}
       const { status, response } = await auth({ type: 'installation' }).catch((error) => error)
       console.log(JSON.stringify({ status, reason: response.data.reason }))`,
    )
    expect(told).toEqual({ status: 403, reason: 'foreign_credential' })
    expect([opened, proofs]).toEqual([[], []])
  })
})
