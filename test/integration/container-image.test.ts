/**
 * The image: built from the shipped Dockerfile, and run as the README says it should be.
 *
 * Its base is a stand-in made of this machine's packages and Node, because builds here pull from no registry of images.
 */

import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildGatewayImage, type Container, type GatewayImage } from '../support/gateway-image.ts'
import { isInstalled } from '../support/tools.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const bytesMax = 200_000_000

const isPossible = (await isInstalled('buildah')) && process.getuid?.() === 0
if (process.env['CI'] !== undefined) expect(isPossible, 'buildah and root').toBe(true)

describe.skipIf(!isPossible)('the image', { timeout: 60_000 }, () => {
  let directory: string
  let image: GatewayImage
  let container: Container

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sallyport-image-'))
    image = await buildGatewayImage(directory)
    container = await image.start({
      'sallyport.yaml': await readFile(join(root, 'docker/compose/sallyport.yaml'), 'utf8'),
      'policies/sandbox.yaml': await readFile(join(root, 'docker/compose/sandbox.yaml'), 'utf8'),
    })
  }, 240_000)

  afterAll(async () => {
    container?.spawned.child.kill('SIGKILL')
    await container?.spawned.end
    await rm(directory, { recursive: true, force: true })
  }, 60_000)

  it('is smaller than 200 MB', () => {
    const size = filesIn(image.root).reduce((sum, file) => sum + file.size, 0)
    expect(size).toBeLessThan(bytesMax)
  })

  it('holds Node, the program and its libraries: no shell, no package manager, nothing with a set-user-id bit', () => {
    const files = filesIn(image.root)
    const isProgram = (path: string): boolean => /(?:^|\/)s?bin\/[^/]+$/.test(path) && !path.includes('node_modules')
    expect(
      files
        .map(({ path }) => path)
        .filter(isProgram)
        .sort(),
    ).toEqual(['usr/bin/tini', 'usr/local/bin/node'])
    expect(files.filter(({ mode }) => (mode & 0o6000) !== 0)).toEqual([])
    expect(files.filter(({ path }) => /\.[cm]?ts$|\.map$|\.test\.|\/tests?\/|(?:^|\/)\.npmrc$/.test(path))).toEqual([])
  })

  it('says what is in it', async () => {
    const sbom = JSON.parse(await readFile(join(image.root, 'usr/share/doc/sallyport/sbom.cdx.json'), 'utf8')) as {
      bomFormat: string
      components: { name: string; version: string; group?: string }[]
    }
    const { dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>
    }
    expect(sbom.bomFormat).toBe('CycloneDX')
    const named = sbom.components.map(
      ({ group, name, version }) => `${group === undefined ? '' : `${group}/`}${name} ${version}`,
    )
    expect(named).toEqual(
      expect.arrayContaining(Object.entries(dependencies).map(([name, version]) => `${name} ${version}`)),
    )
    expect(image.config.Labels).toMatchObject({
      'org.opencontainers.image.title': 'sallyport',
      'org.opencontainers.image.licenses': 'Apache-2.0',
    })
  })

  it('runs as a user of its own, without capabilities, under tini', async () => {
    expect(image.config.User).toBe('10001:10001')
    const status = await readFile(`/proc/${container.pid}/status`, 'utf8')
    expect(status).toMatch(/^Name:\ttini$/m)
    expect(status).toMatch(/^Uid:\t10001\t10001\t10001\t10001$/m)
    expect(status).toMatch(/^CapEff:\t0{16}$/m)
    expect(status).toMatch(/^NoNewPrivs:\t1$/m)
  })

  it('enforces within a second of work', async () => {
    // Of the processor: how long that takes depends on who else is at work.
    const [node] = readFileSync(`/proc/${container.pid}/task/${container.pid}/children`, 'utf8').trim().split(' ')
    const spent = /\) \S (?:\S+ ){10}(\d+) (\d+) /.exec(readFileSync(`/proc/${node}/stat`, 'latin1'))
    expect((Number(spent?.[1]) + Number(spent?.[2])) / 100).toBeLessThan(1)
  })

  it('tells its health by a command, without a shell', async () => {
    const [kind, ...argv] = image.config.Healthcheck.Test
    expect([kind, argv[0]]).toEqual(['CMD', 'node'])
    expect(await container.exec(argv as [string, ...string[]])).toEqual({ code: 0, said: '' })
    const lost = await container.exec([...(argv as [string]), '--control', '127.0.0.1:9'])
    expect(lost.code).toBe(1)
  })

  it('cannot write where it stands', async () => {
    const script =
      "for (const path of ['/app/x', '/etc/sallyport/x', '/x']) try { fs.writeFileSync(path, '') } catch (error) { console.log(error.code) }"
    expect(await container.exec(['node', '-e', script])).toEqual({ code: 0, said: 'EROFS\nEROFS\nEROFS\n' })
  })

  it('publishes the CA and keeps the key', async () => {
    const script =
      "console.log(fs.readdirSync('/var/lib/sallyport-public').join(), fs.statSync('/var/lib/sallyport/ca-key.pem').mode & 0o777)"
    expect(await container.exec(['node', '-e', script])).toEqual({
      code: 0,
      said: 'bundle.pem,ca.pem,truststore.jks 384\n',
    })
  })

  it('refuses who is not of the sandbox network', async () => {
    const script =
      "http.request({ host: '127.0.0.1', port: 3128, method: 'CONNECT', path: 'example.com:443' }).on('connect', (answer) => { console.log(answer.statusCode); process.exit() }).end()"
    expect(await container.exec(['node', '-e', script])).toEqual({ code: 0, said: '407\n' })
  })

  it('ends in order when it is told to', async () => {
    const [child] = readFileSync(`/proc/${container.pid}/task/${container.pid}/children`, 'utf8').trim().split(' ')
    expect(child).toMatch(/^\d+$/)
    await run('kill', ['-TERM', String(container.pid)])
    const { code, err } = await container.spawned.end
    expect(code, err).toBe(0)
    expect(err).toMatch(/"msg":"stopped"/)
  })
})

type Found = { readonly path: string; readonly size: number; readonly mode: number }

function filesIn(folder: string, below = ''): Found[] {
  return readdirSync(join(folder, below), { withFileTypes: true }).flatMap((entry) => {
    const path = join(below, entry.name)
    if (entry.isDirectory()) return filesIn(folder, path)
    if (!entry.isFile()) return []
    const { size, mode } = statSync(join(folder, path))
    return [{ path, size, mode }]
  })
}
