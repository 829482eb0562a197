/** Cookies on a host with a credential: by a client with a jar of its own, and by one that sends what it likes. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { type Site, startSite } from '../support/local-ca-origin.ts'
import { type RealGateway, type Sandbox, startRealGateway } from '../support/real-clients.ts'

const secret = 'sk-the-real-secret-0123456789'
const won = 'session-won-with-the-secret-0123456789'

let site: Site
let world: RealGateway
let sandbox: Sandbox

/** `/login` gives a cookie, all other pages say which came, and with what. */
function pages(request: IncomingMessage, response: ServerResponse): void {
  if (request.url === '/login')
    response.setHeader('set-cookie', [`sid=${won}; Path=/; HttpOnly; Secure; Domain=test`, 'theme=dark; Path=/'])
  if (request.url === '/logout') response.setHeader('set-cookie', 'sid=; Path=/; Max-Age=0')
  response.end(`cookie: ${request.headers.cookie ?? 'none'}\nauthorization: ${request.headers.authorization}\n`)
}

beforeAll(async () => {
  site = await startSite(pages)
  const own = { addresses: ['127.0.0.0/8'], ports: [site.httpsPort], credential: 'account' }
  world = await startRealGateway({
    hosts: ['jar.test', 'other.test', 'strip.test'],
    originCa: site.ca.certificate,
    policies: {
      jars: [
        { ...own, host: 'jar.test', cookies: 'jar' },
        { ...own, host: 'other.test', cookies: 'jar' },
        { ...own, host: 'strip.test' },
      ],
    },
    credentials: [{ name: 'account', kind: 'bearer', hosts: ['jar.test', 'other.test', 'strip.test'] }],
    secrets: { account: secret },
  })
})
beforeEach(async () => {
  sandbox = await world.sandbox('jars')
  site.requests.length = 0
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
  await site?.[Symbol.asyncDispose]()
})

async function curl(path: string, args: readonly string[], host = 'jar.test', by = sandbox): Promise<string> {
  const ran = await by.run('curl', ['-sS', ...args, `https://${host}:${site.httpsPort}${path}`])
  expect(ran.code, ran.said).toBe(0)
  for (const text of [secret, won]) expect(ran.said).not.toContain(text)
  return ran.stdout
}

const jar = ['-b', 'jar', '-c', 'jar']
const cookiesSeen = (): readonly (string | undefined)[] => site.requests.map(({ headers }) => headers.cookie)

it('what the origin set comes back to it, over HTTP/1.1 and HTTP/2, and the client never holds it', async () => {
  await curl('/login', [...jar, '--http1.1'])
  const said = [await curl('/', [...jar, '--http1.1']), await curl('/', [...jar, '--http2'])]
  const both = `sid=${won}; theme=dark`
  expect(cookiesSeen().map((text) => text?.split('; ').sort().join('; '))).toEqual([undefined, both, both])
  for (const text of said) expect(text).toMatch(/sid=\*{38}(?!\*)/)
  const held = await sandbox.run('cat', ['jar'])
  expect(held.stdout).toContain('sid')
  expect(held.stdout).not.toContain(won)
  await curl('/logout', jar)
  await curl('/', jar)
  expect(cookiesSeen().at(-1)).toBe('theme=dark')
})

it('what it did not set in this session stays behind, and so does what another session, or host, was given', async () => {
  const headers = await curl('/login', ['-D', '-', '-o', '/dev/null'])
  const sealed = /^set-cookie: (sid=[\w-]+)/im.exec(headers)?.[1] ?? expect.fail(headers)
  expect(headers).not.toMatch(/domain/i)
  const other = await world.sandbox('jars')
  await curl('/', ['-H', `Cookie: ${sealed}`], 'jar.test', other)
  await curl('/', ['-H', `Cookie: ${sealed}`], 'other.test')
  await curl('/', ['-H', `Cookie: ${sealed}`], 'strip.test')
  await curl('/', ['-H', `Cookie: sid=attacker; ${sealed}; a=${won.slice(8)}`, '-H', `cookie_: ${sealed}`])
  await curl('/', ['-H', 'Cookie: sid=attacker'])
  const none = [undefined, undefined, undefined]
  expect(cookiesSeen().slice(1)).toEqual([...none, `sid=${won}`, undefined])
})

it('without a jar nothing is given, and nothing goes out', async () => {
  const headers = await curl('/login', ['-D', '-', '-o', '/dev/null', ...jar], 'strip.test')
  expect(headers).not.toMatch(/set-cookie/i)
})
