import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Site, startSite } from '../support/local-ca-origin.ts'
import { fieldOf, type Heard, RawClient, type RawResponse } from '../support/raw-client.ts'
import { type RealGateway, startRealGateway } from '../support/real-clients.ts'

let site: Site
let world: RealGateway
beforeAll(async () => {
  site = await startSite()
  const addresses = ['127.0.0.0/8']
  const ports = [site.httpPort, site.httpsPort]
  world = await startRealGateway({
    hosts: ['origin.test', 'tunnel.test'],
    originCa: site.ca.certificate,
    policies: {
      agents: [
        { host: 'origin.test', addresses, ports, methods: ['GET'] },
        { host: 'tunnel.test', addresses, ports },
      ],
      others: [{ host: 'tunnel.test', addresses, ports }],
    },
  })
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
  await site?.[Symbol.asyncDispose]()
})
beforeEach(() => void site.requests.splice(0))

const plain = (host: string): string => `http://${host}:${site.httpPort}/hello`
const secure = (host: string): string => `https://${host}:${site.httpsPort}/hello`
const proxyPort = (): number => Number(world.gateway.proxies[0]?.split(':')[1])

/** Runs a program that imports a package of ours; it prints one JSON value. */
async function program(module: string, text: string, ...args: readonly string[]): Promise<Record<string, unknown>> {
  const sandbox = await world.sandbox('agents')
  // The agents find the proxy themselves here; Node's own support for it would help them.
  const env = { NODE_USE_ENV_PROXY: undefined }
  const all = ['--input-type=module', '-e', text, import.meta.resolve(module), ...args]
  const ran = await sandbox.run(process.execPath, all, { env })
  expect(ran.code, ran.said).toBe(0)
  return JSON.parse(ran.stdout) as Record<string, unknown>
}

describe('http-proxy-agent', () => {
  const text = `
    import http from 'node:http'
    const [module, ...urls] = process.argv.slice(1)
    const { HttpProxyAgent } = await import(module)
    const agent = new HttpProxyAgent(process.env.HTTP_PROXY, { keepAlive: true, maxSockets: 1 })
    const seen = []
    for (const url of urls) {
      seen.push(await new Promise((resolve, reject) => {
        const request = http.get(url, { agent }, (response) => {
          response.resume().on('end', () => resolve([response.statusCode, request.reusedSocket]))
        }).on('error', reject)
      }))
    }
    agent.destroy()
    console.log(JSON.stringify({ seen }))
  `

  it('sends absolute-form requests on one connection for each host, which a refusal leaves open', async () => {
    const [allowed, denied] = [plain('origin.test'), plain('denied.test')]
    const urls = [allowed, allowed, denied, denied, allowed]
    const { result, records } = await world.watch(5, () => program('http-proxy-agent', text, ...urls))
    expect(result['seen']).toEqual([
      [200, false],
      [200, true],
      [403, false],
      [403, true],
      [200, true],
    ])
    expect(records.map(({ outcome }) => outcome)).toEqual(['allow', 'allow', 'deny', 'deny', 'allow'])
  })
})

describe('undici ProxyAgent', () => {
  const text = `
    import { readFileSync } from 'node:fs'
    const [module, ...urls] = process.argv.slice(1)
    const { ProxyAgent, request } = await import(module)
    const uri = process.env.HTTPS_PROXY
    const ca = readFileSync(process.env.SSL_CERT_FILE, 'utf8')
    const dispatcher = new ProxyAgent({ uri, requestTls: { ca }, proxyTunnel: true })
    const seen = []
    for (const url of urls) {
      try {
        const { statusCode, body } = await request(url, { dispatcher })
        seen.push([statusCode, await body.text()])
      } catch (error) {
        seen.push(error.message)
      }
    }
    await dispatcher.close()
    console.log(JSON.stringify({ seen }))
  `

  it('opens tunnels for http too, and its requests in there are judged as any other', async () => {
    const urls = [plain('origin.test'), secure('origin.test'), plain('tunnel.test')]
    const { result, records } = await world.watch(3, () => program('undici', text, ...urls))
    expect(result['seen']).toEqual([
      [200, `hello from origin.test:${site.httpPort}\n`],
      [200, `hello from origin.test:${site.httpsPort}\n`],
      [200, `hello from tunnel.test:${site.httpPort}\n`],
    ])
    expect(records).toMatchObject([
      { kind: 'request', outcome: 'allow', scheme: 'http', host: 'origin.test', path: '/hello' },
      { kind: 'request', outcome: 'allow', scheme: 'https', host: 'origin.test', path: '/hello' },
      { kind: 'request', outcome: 'allow', scheme: 'http', host: 'tunnel.test', path: '/hello' },
    ])
  })

  it('is told of a refused CONNECT, and of nothing else', async () => {
    const { result, records } = await world.watch(1, () => program('undici', text, secure('denied.test')))
    expect(result['seen']).toEqual([expect.stringMatching(/403/)])
    expect(records[0]).toMatchObject({ kind: 'connect', outcome: 'deny' })
  })
})

const answered = (heard: Heard): RawResponse => (typeof heard === 'object' ? heard : expect.fail(heard))

describe('a challenge', () => {
  it.for([
    { what: 'a CONNECT', head: () => `CONNECT origin.test:${site.httpsPort} HTTP/1.1\r\n`, host: () => '' },
    {
      what: 'an absolute-form request',
      head: () => `GET ${plain('origin.test')} HTTP/1.1\r\n`,
      host: () => `Host: origin.test:${site.httpPort}\r\n`,
    },
  ])('of $what leaves the connection open for the answer', async ({ head, host }) => {
    const sandbox = await world.sandbox('agents')
    const client = await RawClient.connect(proxyPort())
    await client.send(`${head()}${host()}\r\n`)
    const challenge = answered(await client.response())
    expect(challenge.status).toBe(407)
    expect(fieldOf(challenge, 'proxy-authenticate')).toBe('Basic realm="sallyport", charset="UTF-8"')
    expect(fieldOf(challenge, 'connection')).not.toBe('close')
    await client.send(`${head()}${host()}Proxy-Authorization: ${sandbox.authorization}\r\n\r\n`)
    // What a CONNECT opens has no length to wait for.
    const opened = answered(await client.response({ bodiless: true }))
    expect(opened.status).toBe(200)
    client.destroy()
  })
})

describe('one connection, two tokens', () => {
  it('is each request by its own token, by none, and by the wrong one', async () => {
    const [one, other] = [await world.sandbox('agents'), await world.sandbox('others')]
    const client = await RawClient.connect(proxyPort())
    const ask = async (authorization: string | null): Promise<number> => {
      const field = authorization === null ? '' : `Proxy-Authorization: ${authorization}\r\n`
      await client.send(`GET ${plain('origin.test')} HTTP/1.1\r\nHost: origin.test:${site.httpPort}\r\n${field}\r\n`)
      return answered(await client.response()).status
    }
    const { result, records } = await world.watch(5, async () => [
      await ask(one.authorization),
      await ask(other.authorization),
      await ask(null),
      await ask(`Basic ${Buffer.from(`${one.id}:${other.token}`).toString('base64')}`),
      await ask(one.authorization),
    ])
    client.destroy()
    expect(result).toEqual([200, 403, 407, 407, 200])
    expect(records.map(({ session, outcome }) => [session, outcome])).toEqual([
      [one.id, 'allow'],
      [other.id, 'deny'],
      [null, 'challenge'],
      [null, 'deny'],
      [one.id, 'allow'],
    ])
    expect(site.requests.every(({ headers }) => headers['proxy-authorization'] === undefined)).toBe(true)
  })

  it('stays the session that opened the tunnel, whatever token is sent in there, and forwards none', async () => {
    const [one, other] = [await world.sandbox('agents'), await world.sandbox('others')]
    const client = await RawClient.connect(proxyPort())
    const { records } = await world.watch(2, async () => {
      await client.send(
        `CONNECT origin.test:${site.httpsPort} HTTP/1.1\r\nProxy-Authorization: ${one.authorization}\r\n\r\n`,
      )
      expect(answered(await client.response({ bodiless: true })).status).toBe(200)
      const inside = await client.startTls({ servername: 'origin.test', ca: one.caCertificate })
      for (const authorization of [other.authorization, 'Basic bm9ib2R5Om5vdGhpbmc=']) {
        await inside.send(
          `GET /hello HTTP/1.1\r\nHost: origin.test:${site.httpsPort}\r\nProxy-Authorization: ${authorization}\r\n\r\n`,
        )
        expect(answered(await inside.response()).status).toBe(200)
      }
    })
    client.destroy()
    expect(records).toMatchObject([
      { session: one.id, outcome: 'allow' },
      { session: one.id, outcome: 'allow' },
    ])
    expect(site.requests).toHaveLength(2)
    expect(site.requests.every(({ headers }) => headers['proxy-authorization'] === undefined)).toBe(true)
  })
})
