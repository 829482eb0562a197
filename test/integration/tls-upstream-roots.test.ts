import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { AddressInfo } from 'node:net'
import { createServer, type Server } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseHost } from '../../src/net/host.ts'
import { temporaryCa } from '../support/temporary-ca.ts'

const module = new URL('../../src/tls/upstream-roots.ts', import.meta.url).href

// What the child sees: with our list, with our list and the origin's CA added, and with Node's defaults.
const child = `
import { connect } from 'node:tls'
import { readFileSync } from 'node:fs'
import { upstreamRoots } from '${module}'
const [port, caFile, choice] = process.argv.slice(1)
const attempt = (ca) => new Promise((resolve) => {
  const socket = connect({ port, host: '127.0.0.1', servername: 'good.test', ...ca }, () => {
    resolve('trusted')
    socket.destroy()
  })
  socket.on('error', (error) => resolve(error.code))
})
console.log(JSON.stringify([
  await attempt({ ca: upstreamRoots(choice, null), rejectUnauthorized: true }),
  await attempt({ ca: upstreamRoots(choice, readFileSync(caFile, 'utf8')), rejectUnauthorized: true }),
  await attempt({}),
]))
`

let origin: Server
let port: string
let caFile: string
let caDirectory: string
beforeAll(async () => {
  const { ca, caFile: file, directory } = await temporaryCa()
  caFile = file
  caDirectory = join(directory, 'certs')
  await mkdir(caDirectory)
  await symlink(caFile, join(caDirectory, 'ca.pem'))
  const host = parseHost('good.test') ?? expect.fail('a host')
  const { key, certificate } = ca.mint(host)
  origin = createServer({ key, cert: certificate }, (socket) => socket.on('error', () => undefined))
  origin.on('tlsClientError', () => undefined)
  origin.listen(0, '127.0.0.1')
  await once(origin, 'listening')
  port = String((origin.address() as AddressInfo).port)
})
afterAll(() => origin.close())

const untrusted: unknown = expect.stringMatching(
  /^(UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT_LOCALLY)$/,
)

// Elsewhere the system's own store is asked, whatever these variables say.
const trustedOnLinux: unknown = process.platform === 'linux' ? 'trusted' : expect.any(String)

describe('an origin that only the environment trusts', () => {
  const environments: Record<string, [() => Record<string, string>, unknown]> = {
    'nothing in the environment': [() => ({}), untrusted],
    'NODE_TLS_REJECT_UNAUTHORIZED=0': [() => ({ NODE_TLS_REJECT_UNAUTHORIZED: '0' }), 'trusted'],
    NODE_EXTRA_CA_CERTS: [() => ({ NODE_EXTRA_CA_CERTS: caFile }), 'trusted'],
    'SSL_CERT_FILE and SSL_CERT_DIR': [
      () => ({ SSL_CERT_FILE: caFile, SSL_CERT_DIR: caDirectory, NODE_OPTIONS: '--use-openssl-ca' }),
      trustedOnLinux,
    ],
    'SSL_CERT_FILE with the system store': [() => ({ SSL_CERT_FILE: caFile, NODE_USE_SYSTEM_CA: '1' }), trustedOnLinux],
  }
  it.each(Object.entries(environments))('is not trusted by us: %s', async (_name, [environment, byDefault]) => {
    // By default Node obeys the environment, which shows that the attack is real; our list does not.
    expect(await ask('bundled', environment())).toEqual([untrusted, 'trusted', byDefault])
  })

  it('is not trusted with the roots of the system either', async () => {
    const answers = await ask('system', { SSL_CERT_FILE: caFile, SSL_CERT_DIR: caDirectory })
    // A machine without a store has no roots to give, and then it does not start.
    if (typeof answers === 'string') expect(answers).toMatch(/no root certificates/)
    else expect(answers.slice(0, 2)).toEqual([untrusted, 'trusted'])
  })
})

function ask(choice: string, environment: Record<string, string>): Promise<string[] | string> {
  const args = ['--input-type=module', '-e', child, port, caFile, choice]
  const env = { PATH: process.env['PATH'] ?? '', ...environment }
  return new Promise((resolve) => {
    execFile(process.execPath, args, { env }, (error, out, problem) => {
      resolve(error === null ? (JSON.parse(out) as string[]) : problem)
    })
  })
}
