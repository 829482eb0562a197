/** For `sallyport demo`: an API on this machine, with TLS from a CA of its own, that keeps what it was asked. */

import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { parseHost } from '../net/host.ts'
import { loadSigningCa } from '../tls/signing-ca.ts'

type Asked = { readonly method: string; readonly path: string; readonly authorization: string | null }

export type DemoOrigin = {
  readonly port: number
  /** PEM. */
  readonly caCertificate: string
  readonly asked: readonly Asked[]
  readonly close: () => Promise<void>
}

export async function startDemoOrigin(name: string, directory: string): Promise<DemoOrigin> {
  const host = parseHost(name)
  if (host === null) throw new Error(`${name} is no host`)
  const ca = await loadSigningCa({
    stateDirectory: path.join(directory, 'origin'),
    publicDirectory: path.join(directory, 'origin-public'),
    own: null,
    now: () => new Date(),
    systemRoots: () => [],
  })
  const { key, certificate } = ca.mint(host)
  const asked: Asked[] = []
  const server = createServer({ key, cert: certificate }, (request, response) => {
    const { method = '', url = '', headers } = request
    asked.push({ method, path: url, authorization: headers.authorization ?? null })
    request.resume()
    response.setHeader('content-type', 'application/json')
    response.end('{"answer":"hello, agent"}\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = parseAddress(server.address())
  return {
    port,
    caCertificate: ca.certificatePem,
    asked,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function parseAddress(address: AddressInfo | string | null): AddressInfo {
  if (typeof address === 'object' && address !== null) return address
  throw new Error('the origin listens on no port')
}
