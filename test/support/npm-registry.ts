/** A package registry as npm reads it: packuments with integrity, and tarballs, made here of a few lines each. */

import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import type { SiteHandler } from './local-ca-origin.ts'

export type RegistryPackage = { readonly name: string; readonly version: string; readonly main: string }

/** `origin` is the URL that clients know it by. */
export function npmRegistry(origin: () => string, packages: readonly RegistryPackage[]): SiteHandler {
  const tarballs = new Map(packages.map((one) => [one.name, tarballOf(one)]))
  const tarballPath = ({ name, version }: RegistryPackage): string =>
    `/${name}/-/${name.replace(/^@[^/]+\//, '')}-${version}.tgz`
  return (request, response) => {
    const path = (request.url ?? '').replace(/%2f/gi, '/')
    const asked = packages.find((one) => path === `/${one.name}`)
    const file = packages.find((one) => path === tarballPath(one))
    if (asked !== undefined) {
      const tarball = tarballs.get(asked.name) ?? Buffer.alloc(0)
      const dist = { tarball: `${origin()}${tarballPath(asked)}`, integrity: integrityOf(tarball) }
      response.setHeader('content-type', 'application/json')
      response.end(
        JSON.stringify({
          name: asked.name,
          'dist-tags': { latest: asked.version },
          versions: { [asked.version]: { name: asked.name, version: asked.version, dist } },
        }),
      )
    } else if (file !== undefined) response.end(tarballs.get(file.name))
    else response.writeHead(404).end('{}')
  }
}

function integrityOf(bytes: Buffer): string {
  return `sha512-${createHash('sha512').update(bytes).digest('base64')}`
}

function tarballOf({ name, version, main }: RegistryPackage): Buffer {
  const manifest = JSON.stringify({ name, version, main: 'index.js' })
  const entries = [tarEntry('package/package.json', manifest), tarEntry('package/index.js', main)]
  return gzipSync(Buffer.concat([...entries, Buffer.alloc(1024)]))
}

/** POSIX ustar: a header of 512 bytes, then the content, padded to 512. */
function tarEntry(path: string, content: string): Buffer {
  const body = Buffer.from(content)
  const head = Buffer.alloc(512)
  const octal = (value: number, at: number, length: number): void =>
    void head.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1')
  head.write(path, 0, 'latin1')
  octal(0o644, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(body.length, 124, 12)
  octal(0, 136, 12)
  head.write(' '.repeat(8), 148, 'latin1')
  head.write('0', 156, 'latin1')
  head.write('ustar\u000000', 257, 'latin1')
  octal(
    head.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  )
  return Buffer.concat([head, body, Buffer.alloc((512 - (body.length % 512)) % 512)])
}
