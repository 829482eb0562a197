import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { sandboxEnvironment } from '../../src/config/sandbox-environment.ts'
import { publicFilesIn } from '../../src/tls/public-files.ts'
import { type Site, startSite } from '../support/local-ca-origin.ts'
import { createSandbox, type Ran, type RealGateway, type Sandbox, startRealGateway } from '../support/real-clients.ts'
import { needs } from '../support/tools.ts'

const secret = 'the-real-secret-0123456789'

let site: Site
let world: RealGateway
beforeAll(async () => {
  site = await startSite()
  const addresses = ['127.0.0.0/8']
  const ports = [site.httpPort, site.httpsPort]
  world = await startRealGateway({
    hosts: ['origin.test', 'api.test'],
    originCa: site.ca.certificate,
    listeners: [
      { address: '127.0.0.1:0', session: null },
      { address: '127.0.0.1:0', session: 'jvm' },
    ],
    statics: [{ id: 'jvm', policy: 'clients' }],
    credentials: [
      { name: 'key', kind: 'bearer', hosts: ['api.test'], placeholder: { env: 'TEST_API_KEY', like: 'sk-{40}' } },
    ],
    secrets: { key: secret },
    policies: {
      clients: [
        { host: 'origin.test', addresses, ports, methods: ['GET'] },
        { host: 'api.test', addresses, ports, methods: ['GET'], credential: 'key' },
      ],
    },
  })
  await writeFile(join(world.directory, 'client.py'), pythonProgram)
  await writeFile(join(world.directory, 'client.go'), goProgram)
  await writeFile(join(world.directory, 'Client.java'), javaProgram)
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
  await site?.[Symbol.asyncDispose]()
})
beforeEach(() => void site.requests.splice(0))

// Each program gets a URL and, or not, a value for Authorization; it prints the status and the body, or what went wrong.

const pythonProgram = `
import sys, urllib.request, urllib.error
request = urllib.request.Request(sys.argv[1])
if len(sys.argv) > 2: request.add_header('Authorization', sys.argv[2])
try:
    with urllib.request.urlopen(request) as response: print(response.status, response.read().decode())
except urllib.error.HTTPError as error: print(error.code, error.reason, error.read().decode())
except Exception as error: print('failed:', error)
`

const nodeFetch = `
const [url, authorization] = process.argv.slice(1)
const headers = authorization === undefined ? {} : { authorization }
fetch(url, { headers }).then(
  async (response) => console.log(response.status, await response.text()),
  (error) => console.log('failed:', error.message, error.cause?.message),
)
`

const nodeRequest = `
const [url, authorization] = process.argv.slice(1)
const headers = authorization === undefined ? {} : { authorization }
const { get } = require(url.startsWith('https:') ? 'node:https' : 'node:http')
get(url, { headers }, (response) => {
  let body = ''
  response.on('data', (text) => (body += text)).on('end', () => console.log(response.statusCode, body))
}).on('error', (error) => console.log('failed:', error.code, error.message))
`

const goProgram = `package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	request, _ := http.NewRequest("GET", os.Args[1], nil)
	if len(os.Args) > 2 {
		request.Header.Set("Authorization", os.Args[2])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		fmt.Println("failed:", err)
		return
	}
	body, _ := io.ReadAll(response.Body)
	fmt.Println(response.StatusCode, string(body))
}
`

const javaProgram = `
import java.io.InputStream;
import java.net.*;
import java.net.http.*;

class Client {
  public static void main(String[] args) {
    for (int i = 1; i < args.length; i++) {
      try {
        System.out.println(args[0].equals("HttpClient") ? byClient(args[i]) : byConnection(args[i]));
      } catch (Exception error) {
        System.out.println("failed: " + error.getMessage());
      }
    }
  }

  static String byClient(String url) throws Exception {
    var client = HttpClient.newBuilder().proxy(ProxySelector.getDefault()).version(HttpClient.Version.HTTP_1_1).build();
    var response = client.send(HttpRequest.newBuilder(URI.create(url)).build(), HttpResponse.BodyHandlers.ofString());
    return response.statusCode() + " " + response.body();
  }

  static String byConnection(String url) throws Exception {
    var connection = (HttpURLConnection) new URL(url).openConnection();
    int status = connection.getResponseCode();
    InputStream body = status < 400 ? connection.getInputStream() : connection.getErrorStream();
    return status + " " + new String(body.readAllBytes());
  }
}
`

type Language = {
  readonly tool: string
  readonly run: (sandbox: Sandbox, ...args: readonly string[]) => Promise<Ran>
  /** What it shows of a refused CONNECT, before we know that it trusts us. */
  readonly shows: RegExp
}

const advice = String.raw`\(host_not_allowed\) - do not retry or bypass - ask the user`

const languages: Record<string, Language> = {
  'Python urllib': {
    tool: 'python3',
    run: (sandbox, ...args) => sandbox.run('python3', [join(world.directory, 'client.py'), ...args]),
    shows: new RegExp(`^failed: .*403.*${advice}`),
  },
  'Node fetch': {
    tool: process.execPath,
    run: (sandbox, ...args) => sandbox.run(process.execPath, ['-e', nodeFetch, ...args]),
    // Nothing of ours: undici keeps the answer to a CONNECT to itself.
    shows: /^failed: fetch failed/,
  },
  'Node https': {
    tool: process.execPath,
    run: (sandbox, ...args) => sandbox.run(process.execPath, ['-e', nodeRequest, ...args]),
    shows: new RegExp(`^failed: ERR_PROXY_TUNNEL .*${advice}`),
  },
  Go: {
    tool: 'go',
    run: async (sandbox, ...args) => sandbox.run(await goClient(), args),
    shows: new RegExp(`^failed: .*${advice}`),
  },
}

let built: Promise<string> | null = null
/** Built with the machine's own environment, because that is not what is looked at; run with the sandbox's. */
function goClient(): Promise<string> {
  const binary = join(world.directory, 'go-client')
  const env = { ...process.env, GOFLAGS: '-mod=mod', GOPROXY: 'off', GOTOOLCHAIN: 'local', CGO_ENABLED: '0' }
  built ??= promisify(execFile)('go', ['build', '-o', binary, join(world.directory, 'client.go')], { env }).then(
    () => binary,
  )
  return built
}

const plain = (host: string): string => `http://${host}:${site.httpPort}/hello`
const secure = (host: string): string => `https://${host}:${site.httpsPort}/hello`

describe.each(Object.entries(languages))('%s', { timeout: 180_000 }, (_name, { tool, run, shows }) => {
  beforeEach((context) => needs(context, tool))

  it('gets a page over http', async () => {
    const sandbox = await world.sandbox('clients')
    const { result, records } = await world.watch(1, () => run(sandbox, plain('origin.test')))
    expect(result.said).toContain(`200 hello from origin.test:${site.httpPort}`)
    expect(records[0]).toMatchObject({ outcome: 'allow', session: sandbox.id, scheme: 'http', host: 'origin.test' })
  })

  it('gets a page through interception, trusting by its environment alone', async () => {
    const sandbox = await world.sandbox('clients')
    const { result, records } = await world.watch(1, () => run(sandbox, secure('origin.test')))
    expect(result.said).toContain(`200 hello from origin.test:${site.httpsPort}`)
    expect(records[0]).toMatchObject({ outcome: 'allow', session: sandbox.id, scheme: 'https', method: 'GET' })
  })

  it('gets the credential put on, with the placeholder or without', async () => {
    const sandbox = await world.sandbox('clients')
    const { records } = await world.watch(2, async () => {
      await run(sandbox, secure('api.test'))
      await run(sandbox, secure('api.test'), `Bearer ${sandbox.env['TEST_API_KEY']}`)
    })
    expect(site.requests.map(({ headers }) => headers.authorization)).toEqual([`Bearer ${secret}`, `Bearer ${secret}`])
    expect(records).toMatchObject([{ credentials: ['key'] }, { credentials: ['key'] }])
  })

  it('shows what it can of a refused CONNECT, and why when it is refused inside TLS', async () => {
    const sandbox = await world.sandbox('clients')
    const began = performance.now()
    const { result, records } = await world.watch(1, () => run(sandbox, secure('denied.test')))
    expect(result.said).toMatch(shows)
    // A program that was told no must also come to its end.
    expect(performance.now() - began).toBeLessThan(10_000)
    expect(records[0]).toMatchObject({ kind: 'connect', outcome: 'deny', reason: 'host_not_allowed', status: 403 })
    await run(sandbox, secure('origin.test'))
    const { result: inside } = await world.watch(1, () => run(sandbox, secure('denied.test')))
    expect(inside.said).toContain('403')
    expect(inside.said).toContain('"reason":"host_not_allowed"')
  })
})

it('a Node program with a token that is no more is told, and comes to its end', async () => {
  const sandbox = await world.sandbox('clients')
  await world.control('DELETE', `/v1/sessions/${sandbox.id}`)
  const began = performance.now()
  const { result } = await world.watch(1, () =>
    sandbox.run(process.execPath, ['-e', nodeRequest, secure('origin.test')]),
  )
  expect(result.said).toMatch(/^failed: ERR_PROXY_TUNNEL .*407/)
  expect(performance.now() - began).toBeLessThan(10_000)
})

// A JVM reads none of the variables but its own: proxy and trust store by properties, session by listener.
describe('Java', { timeout: 60_000 }, () => {
  beforeEach(async (context) => {
    await needs(context, 'java')
  })

  it.for([
    { api: 'HttpClient', shows: /^failed: Tunnel failed, got: 403$/m },
    { api: 'HttpURLConnection', shows: new RegExp(`^failed: .*403 .*${advice}`, 'm') },
  ])('$api shows a refusal, gets a page over http and another through interception', async ({ api, shows }) => {
    const { gateway } = world
    const files = publicFilesIn(dirname(gateway.caPath))
    const env = sandboxEnvironment({ proxyUrl: `http://${gateway.proxies[1]}`, files, placeholders: {}, jvm: true })
    const session = { id: 'jvm', token: '', proxyUrl: '', caCertificate: '', env }
    const sandbox = await createSandbox(session, world.directory)
    const urls = [secure('denied.test'), plain('origin.test'), secure('api.test')]
    const { result, records } = await world.watch(3, () =>
      sandbox.run('java', [join(world.directory, 'Client.java'), api, ...urls]),
    )
    expect(result.stdout).toMatch(shows)
    expect(result.stdout).toContain(`200 hello from origin.test:${site.httpPort}`)
    expect(result.stdout).toContain(`200 hello from api.test:${site.httpsPort}`)
    expect(records).toMatchObject([
      { outcome: 'deny', reason: 'host_not_allowed', session: 'jvm' },
      { outcome: 'allow', session: 'jvm' },
      { outcome: 'allow', session: 'jvm', credentials: ['key'] },
    ])
    expect(site.requests.at(-1)?.headers.authorization).toBe(`Bearer ${secret}`)
  })
})
