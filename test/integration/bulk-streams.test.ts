/**
 * Much of anything, both ways, decrypted on its way: by curl, through a gateway of its own process whose memory is watched.
 *
 * `SALLYPORT_TEST_BULK_MIB=10240` makes it 10 GiB each way.
 */

import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { digestOfBytes, type Site, startSite } from '../support/local-ca-origin.ts'
import { type CreatedSession, until } from '../support/real-clients.ts'
import { type Spawned, spawnCli } from '../support/spawned-cli.ts'
import { needs } from '../support/tools.ts'

const mib = 1024 * 1024
const bulkMib = Number(process.env['SALLYPORT_TEST_BULK_MIB'] ?? 64)
/** What a gateway that is warm may grow by, however much goes through. Young buffers alone may be 32 MiB of it. */
const growthMibMax = 96
const bulkTimeoutMs = 30_000 + bulkMib * 100

const piece = Buffer.alloc(64 * 1024, 'flood ')
/** By path: what the origin got rid of, on answers without an end. */
const flooded = new Map<string, number>()

/** As much as is taken, until nobody listens. */
async function flood(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url ?? ''
  while (!response.destroyed) {
    const goOn = response.write(piece)
    flooded.set(path, (flooded.get(path) ?? 0) + piece.length)
    if (goOn) continue
    const over = new AbortController()
    const { signal } = over
    await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })]).catch(
      () => undefined,
    )
    over.abort()
  }
}

let site: Site
let directory: string
let gateway: Spawned
let pid: number
let env: NodeJS.ProcessEnv
beforeAll(async () => {
  site = await startSite(flood)
  directory = await mkdtemp(join(tmpdir(), 'sallyport-bulk-'))
  await mkdir(join(directory, 'policies'), { mode: 0o700 })
  const rule = { addresses: ['127.0.0.0/8'], ports: [site.httpsPort], methods: ['GET', 'PUT'] }
  const rules = [
    { host: 'origin.test', ...rule },
    { host: 'key.test', ...rule, credential: 'key' },
  ]
  await writeFile(join(directory, 'policies', 'bulk.yaml'), JSON.stringify({ version: 1, name: 'bulk', rules }))
  await writeFile(join(directory, 'origin.pem'), site.ca.certificate)
  await writeFile(join(directory, 'key'), 'the-real-secret-0123456789', { mode: 0o600 })
  const config = {
    version: 1,
    listeners: [{ address: '127.0.0.1:0' }],
    control: { address: '127.0.0.1:0' },
    stateDirectory: join(directory, 'state'),
    policies: join(directory, 'policies'),
    credentials: [{ name: 'key', kind: 'bearer', secret: { file: join(directory, 'key') }, hosts: ['key.test'] }],
    upstream: {
      extraCa: join(directory, 'origin.pem'),
      dns: { hosts: { 'origin.test': '127.0.0.1', 'key.test': '127.0.0.1' } },
    },
    audit: { file: join(directory, 'audit.jsonl') },
    log: { level: 'warn' },
  }
  await writeFile(join(directory, 'sallyport.yaml'), JSON.stringify(config))
  gateway = spawnCli(['serve', '--json', '--config', join(directory, 'sallyport.yaml')], { cwd: directory })
  const facts = JSON.parse(await gateway.says(/"pid"/)) as {
    readonly pid: number
    readonly control: string
    readonly adminTokenPath: string
  }
  pid = facts.pid
  const admin = (await readFile(facts.adminTokenPath, 'utf8')).trim()
  const answer = await fetch(`http://${facts.control}/v1/sessions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json' },
    body: JSON.stringify({ policy: 'bulk' }),
  })
  const created = (await answer.json()) as CreatedSession
  await writeFile(join(directory, 'ca.pem'), created.caCertificate)
  env = {
    PATH: process.env['PATH'],
    HTTPS_PROXY: created.proxyUrl,
    CURL_CA_BUNDLE: join(directory, 'ca.pem'),
    SSL_CERT_FILE: join(directory, 'ca.pem'),
  }
})
afterAll(async () => {
  gateway.child.kill('SIGTERM')
  await gateway.end
  await site[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true })
})
beforeEach(async (context) => {
  await needs(context, 'curl')
  if (process.platform !== 'linux') context.skip('memory of another process is read from /proc')
})

const run = promisify(execFile)
const urlOf = (host: string, path: string): string => `https://${host}:${site.httpsPort}${path}`

/** In a shell, for its pipes: neither side of a transfer is ours, and none of it lies in our memory. */
async function shell(line: string): Promise<string> {
  const { stdout } = await run('bash', ['-o', 'pipefail', '-c', line], { env })
  return stdout
}

const down = async (version: string, host: string, bytes: number): Promise<string> =>
  (await shell(`curl -sS --${version} '${urlOf(host, `/bytes?${bytes}`)}' | sha256sum`)).slice(0, 64)

/** Without a length: in chunks, or in frames. Returns what the origin saw, length and digest. */
const up = (version: string, host: string, bytes: number): Promise<string> =>
  shell(`head -c ${bytes} /dev/zero | curl -sS --${version} -H 'Expect:' -T - '${urlOf(host, '/upload')}'`)

/** How much more than before was held at any time of the deed. */
async function growthMibOf(deed: () => Promise<void>): Promise<number> {
  const kib = async (name: string): Promise<number> =>
    Number(new RegExp(`${name}:\\s+(\\d+)`).exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1])
  // The high-water mark begins anew (proc(5)).
  await writeFile(`/proc/${pid}/clear_refs`, '5')
  const before = await kib('VmRSS')
  await deed()
  return Math.round((await kib('VmHWM')) / 1024 - before / 1024)
}

function digestOfZeros(length: number): string {
  const hash = createHash('sha256')
  const zeros = Buffer.alloc(mib)
  for (let left = length; left > 0; left -= zeros.length) hash.update(zeros.subarray(0, left))
  return hash.digest('hex')
}

/** For who runs it by hand at another size. */
function report(what: string, growthMib: number): void {
  if (process.env['SALLYPORT_TEST_BULK_MIB'] !== undefined)
    process.stderr.write(`${what}: memory grew by ${growthMib} MiB\n`)
}

describe.each(['http1.1', 'http2'])('over %s', (version) => {
  const bytes = bulkMib * mib
  const warmBytes = 48 * mib

  it.each([
    ['as it is', 'origin.test'],
    ['searched for a secret', 'key.test'],
  ])('a long answer, %s, arrives whole and takes no memory', { timeout: bulkTimeoutMs }, async (_how, host) => {
    await down(version, host, warmBytes)
    const expected = digestOfBytes(bytes)
    const growth = await growthMibOf(async () => expect(await down(version, host, bytes)).toBe(expected))
    expect(growth, 'MiB of memory').toBeLessThan(growthMibMax)
    report(`${bulkMib} MiB down over ${version} from ${host}`, growth)
  })

  it('a long upload arrives whole and takes no memory', { timeout: bulkTimeoutMs }, async () => {
    await up(version, 'origin.test', warmBytes)
    const expected = `${bytes} ${digestOfZeros(bytes)}\n`
    const growth = await growthMibOf(async () => expect(await up(version, 'origin.test', bytes)).toBe(expected))
    expect(growth, 'MiB of memory').toBeLessThan(growthMibMax)
    report(`${bulkMib} MiB up over ${version}`, growth)
  })
})

describe('who stops reading, beside who goes on', () => {
  const fastBytes = 128 * mib
  /** Buffers of two kernels and ours; of HTTP/2 the windows of its stream, of which Go's is 4 MiB. */
  const takenMibMax = 24

  const takenMib = (path: string): number => (flooded.get(path) ?? 0) / mib

  it('on a connection of its own: is read ahead for by so much, and no more', { timeout: 60_000 }, async () => {
    const path = '/stalled-alone'
    const stalled = spawn('curl', ['-sS', '--http1.1', '-o', '/dev/null', urlOf('origin.test', path)], { env })
    await until(() => takenMib(path) > 1, 'the flood')
    stalled.kill('SIGSTOP')
    await delay(300)
    const before = takenMib(path)
    const expected = digestOfBytes(fastBytes)
    const growth = await growthMibOf(async () => {
      expect(await down('http1.1', 'origin.test', fastBytes)).toBe(expected)
    })
    expect(takenMib(path) - before, 'MiB taken for who does not read').toBeLessThan(takenMibMax)
    expect(growth, 'MiB of memory').toBeLessThan(growthMibMax)
    stalled.kill('SIGKILL')
  })

  it('on the same connection: holds up nobody, and nothing is kept for it', { timeout: 120_000 }, async (context) => {
    await needs(context, 'go')
    const client = await goClient()
    const path = '/stalled-beside'
    const urls = [urlOf('origin.test', path), urlOf('origin.test', `/bytes?${fastBytes}`)]
    const growth = await growthMibOf(async () => {
      const { stdout } = await run(client, urls, { env })
      expect(stdout).toBe(`HTTP/2.0, ${fastBytes} bytes, on the same connection: true\n`)
    })
    expect(takenMib(path), 'MiB taken for who does not read').toBeLessThan(takenMibMax)
    expect(growth, 'MiB of memory').toBeLessThan(growthMibMax)
  })
})

/** Asks for two, reads a byte of the first and then all of the second. */
const goProgram = `package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
)

func get(url string, reused *bool) *http.Response {
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		panic(err)
	}
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { *reused = info.Reused }}
	response, err := http.DefaultClient.Do(request.WithContext(httptrace.WithClientTrace(request.Context(), trace)))
	if err != nil {
		panic(err)
	}
	return response
}

func main() {
	var reused bool
	stalled := get(os.Args[1], &reused)
	if _, err := stalled.Body.Read(make([]byte, 1)); err != nil {
		panic(err)
	}
	fast := get(os.Args[2], &reused)
	bytes, err := io.Copy(io.Discard, fast.Body)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s, %d bytes, on the same connection: %t\\n", fast.Proto, bytes, reused)
}
`

/** Built with the machine's own environment, run with the sandbox's. */
async function goClient(): Promise<string> {
  const binary = join(directory, 'client')
  await writeFile(join(directory, 'client.go'), goProgram)
  const own = { ...process.env, GOFLAGS: '-mod=mod', GOPROXY: 'off', GOTOOLCHAIN: 'local', CGO_ENABLED: '0' }
  await run('go', ['build', '-o', binary, join(directory, 'client.go')], { env: own })
  return binary
}
