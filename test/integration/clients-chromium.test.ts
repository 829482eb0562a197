/**
 * Chromium behind the proxy: it trusts our CA as a person would have it, authenticates, and is refused in words.
 */

import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type Browser, chromium, type Page } from 'playwright-core'
import { WebSocketServer } from 'ws'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { type Site, startSite } from '../support/local-ca-origin.ts'
import { type RealGateway, type Sandbox, startRealGateway } from '../support/real-clients.ts'

const run = promisify(execFile)
const secret = 'the-key-of-the-account-0123456789'

let site: Site
let world: RealGateway
let browser: Browser
let page: Page
let sandbox: Sandbox
beforeAll(async () => {
  site = await startSite((_request, response) => {
    response.setHeader('content-type', 'text/html')
    response.end('<title>a page</title>')
  })
  const rule = { addresses: ['127.0.0.0/8'], ports: [site.httpsPort], methods: ['GET'] }
  world = await startRealGateway({
    hosts: ['page.test', 'api.test', 'chat.test'],
    originCa: site.ca.certificate,
    policies: {
      browsing: [
        { ...rule, host: 'page.test', paths: ['/', '/hello'] },
        { ...rule, host: 'api.test', credential: 'api' },
        { ...rule, host: 'chat.test', methods: ['GET', 'WEBSOCKET'], credential: 'api' },
      ],
    },
    credentials: [{ name: 'api', kind: 'bearer', hosts: ['api.test', 'chat.test'] }],
    secrets: { api: secret },
  })
  browser = await launch()
}, 60_000)
afterAll(async () => {
  await browser?.close()
  await world?.[Symbol.asyncDispose]()
  await site?.[Symbol.asyncDispose]()
})
beforeEach(async () => {
  site.requests.splice(0)
  page = await browser.newPage()
})
afterEach(() => page?.close())

/** With a home of its own in which our CA is one of the roots. */
async function launch(): Promise<Browser> {
  sandbox = await world.sandbox('browsing', { refusal: 'inside' })
  const roots = join(sandbox.directory, '.pki', 'nssdb')
  await mkdir(roots, { recursive: true })
  await run('certutil', ['-d', `sql:${roots}`, '-N', '--empty-password'])
  const certificate = join(world.directory, 'state', 'public', 'ca.pem')
  await run('certutil', ['-d', `sql:${roots}`, '-A', '-n', 'sallyport', '-t', 'C,,', '-i', certificate])
  return chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-background-networking', '--disable-component-update'],
    env: { PATH: process.env['PATH'] ?? '', HOME: sandbox.directory },
    proxy: {
      server: `http://${world.gateway.proxies[0]}`,
      username: sandbox.id,
      password: sandbox.token,
      // Without it names of this machine would go past the proxy.
      bypass: '<-loopback>',
    },
  })
}

const url = (host: string, path: string): string => `https://${host}:${site.httpsPort}${path}`

it('shows a page that is allowed', async () => {
  const answer = await page.goto(url('page.test', '/hello'))
  expect(answer?.status()).toBe(200)
  expect(await page.textContent('body')).toContain(`hello from page.test:${site.httpsPort}`)
})

it.each([
  ['another host', 'denied.test', '/', 'host_not_allowed'],
  ['another path', 'page.test', '/secret', 'path_not_allowed'],
])('shows why %s is refused', async (_, host, path, reason) => {
  const answer = await page.goto(url(host, path))
  expect(answer?.status()).toBe(403)
  expect(await page.textContent('body')).toContain(reason)
  expect(site.requests).toEqual([])
})

it('has the secret put on for a page of the API itself, and for no page of another site', async () => {
  await page.goto(url('page.test', '/'))
  const across = await page.evaluate(
    async (target) => {
      const answer = await fetch(target, { mode: 'no-cors' })
      return answer.type
    },
    url('api.test', '/hello'),
  )
  expect(across).toBe('opaque')
  expect(site.requests.filter(({ headers }) => headers.host?.startsWith('api.test'))).toEqual([])

  await page.goto(url('api.test', '/'))
  const own = await page.evaluate(async () => (await fetch('/hello')).status)
  expect(own).toBe(200)
  const sent = site.requests.filter(({ url }) => url === '/hello').map(({ headers }) => headers.authorization)
  expect(sent).toEqual([`Bearer ${secret}`])
})

/** In the page: says each text when the one before it has come back, and then goodbye. */
const talk = async (target: string, texts: readonly string[]): Promise<unknown> =>
  page.evaluate(`(async () => {
    const socket = new WebSocket(${JSON.stringify(target)})
    const closed = new Promise((resolve) => (socket.onclose = ({ code, reason }) => resolve(code + ' ' + reason)))
    await new Promise((resolve) => (socket.onopen = resolve))
    const said = []
    for (const text of ${JSON.stringify(texts)}) {
      socket.send(text)
      said.push(await new Promise((resolve) => (socket.onmessage = ({ data }) => resolve(data))))
    }
    if (said.length > 0) socket.close(4000, 'bye')
    return [...said, await closed]
  })()`)

it('speaks WebSocket on a stream of the connection that it has, for the account, and hears why it ends', async () => {
  const chat = new WebSocketServer({ server: site.secure })
  const handshakes: (string | undefined)[] = []
  chat.on('connection', (socket, request) => {
    handshakes.push(request.headers.authorization)
    socket.on('message', (data: Buffer) => {
      const text = data.toString()
      socket.send(text === 'who am I' ? secret : text)
    })
    socket.on('error', () => undefined)
  })
  await page.goto(url('chat.test', '/'))
  const target = url('chat.test', '/chat').replace('https:', 'wss:')
  const large = 'x'.repeat(300_000)
  expect(await talk(target, ['hello', 'who am I', large])).toEqual([
    'hello',
    '*'.repeat(secret.length),
    large,
    '4000 bye',
  ])
  expect(handshakes).toEqual([`Bearer ${secret}`])
  // 101 is what HTTP/1.1 says.
  expect(await recordOf('WEBSOCKET')).toMatchObject({ outcome: 'allow', status: 200, path: '/chat', redactions: 1 })

  const ending = talk(target, [])
  await expect.poll(() => handshakes.length).toBe(2)
  await delay(200)
  await world.control('DELETE', `/v1/sessions/${sandbox.id}`)
  expect(await ending).toEqual(['1008 the session was revoked'])
  chat.close()
})

async function recordOf(method: string): Promise<object> {
  const found = async (): Promise<object | undefined> =>
    (await world.audit()).find((one) => one.method === method && one.event === 'final')
  await expect.poll(found).toBeDefined()
  return (await found()) ?? {}
}
