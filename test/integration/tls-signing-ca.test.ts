import { execFile } from 'node:child_process'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { chmod, chown, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { getCACertificates } from 'node:tls'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { parseHost } from '../../src/net/host.ts'
import { loadSigningCa, SigningCaError } from '../../src/tls/signing-ca.ts'
import { caOptions, temporaryCa, temporaryDirectory } from '../support/temporary-ca.ts'
import { needs } from '../support/tools.ts'

const run = promisify(execFile)
const host = (text: string) => parseHost(text) ?? expect.fail(`${text} is a host`)
const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777
const publicNames = ['bundle.pem', 'ca.pem', 'truststore.jks']
const inYears = (years: number) => () => new Date(Date.now() + years * 366 * 86_400_000)

const child = `
import { loadSigningCa } from '${new URL('../../src/tls/signing-ca.ts', import.meta.url).href}'
const [stateDirectory, publicDirectory] = process.argv.slice(1)
const options = { stateDirectory, publicDirectory, own: null, now: () => new Date(), systemRoots: () => [] }
process.stdout.write((await loadSigningCa(options)).certificatePem)
`

describe('the first start', () => {
  it('makes a private key file and three public files, and nothing else', async () => {
    const { ca, directory } = await temporaryCa()
    expect(await readdir(join(directory, 'state'))).toEqual(['ca-key.pem'])
    expect((await readdir(join(directory, 'public'))).toSorted()).toEqual(publicNames)
    expect(await modeOf(join(directory, 'state'))).toBe(0o700)
    expect(await modeOf(join(directory, 'state', 'ca-key.pem'))).toBe(0o600)
    expect(await readFile(join(directory, 'public', 'ca.pem'), 'utf8')).toBe(ca.certificatePem)
    const keyBytes = createPrivateKey(await readFile(join(directory, 'state', 'ca-key.pem'))).export({
      format: 'jwk',
    }).d
    for (const name of publicNames) {
      expect(await modeOf(join(directory, 'public', name))).toBe(0o644)
      const shown = await readFile(join(directory, 'public', name))
      expect(shown.includes('PRIVATE')).toBe(false)
      expect(shown.includes(Buffer.from(keyBytes ?? '', 'base64url'))).toBe(false)
    }
  })

  it('puts the given roots and ours in the bundle', async () => {
    const directory = await temporaryDirectory()
    const roots = getCACertificates('bundled')
    const ca = await loadSigningCa(caOptions(directory, { systemRoots: () => roots }))
    const bundle = await readFile(join(directory, 'public', 'bundle.pem'), 'utf8')
    const blocks = bundle.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g) ?? []
    expect(blocks.length).toBe(roots.length + 1)
    expect(blocks.at(-1)).toBe(ca.certificatePem)
    expect(blocks.join('')).toBe(bundle)
  })

  it('puts the same certificates in a trust store that a JVM opens', async (context) => {
    await needs(context, 'keytool')
    const directory = await temporaryDirectory()
    await loadSigningCa(caOptions(directory, { systemRoots: () => getCACertificates('bundled') }))
    const list = (alias: readonly string[]) => listOf(join(directory, 'public', 'truststore.jks'), alias)
    const bundle = await readFile(join(directory, 'public', 'bundle.pem'), 'utf8')
    expect(certificatesIn(await list([])).toSorted()).toEqual(certificatesIn(bundle).toSorted())
    const ours = certificatesIn(await readFile(join(directory, 'public', 'ca.pem'), 'utf8'))
    expect(certificatesIn(await list(['-alias', 'sallyport-1']))).toEqual(ours)
  })

  it('names the CA by its key and lets it sign leaves only', async () => {
    const { ca } = await temporaryCa()
    const certificate = new X509Certificate(ca.certificatePem)
    expect(certificate.subject).toMatch(/^CN=Sallyport CA [0-9a-f]{8}$/)
    expect(certificate.issuer).toBe(certificate.subject)
    expect(certificate.ca).toBe(true)
    expect(certificate.validToDate).toEqual(ca.notAfter)
    expect(certificate.verify(certificate.publicKey)).toBe(true)
  })

  it('ends with one CA when several start at once, in one process or in many', async () => {
    const directory = await temporaryDirectory()
    const options = caOptions(directory)
    const inside = Array.from({ length: 4 }, async () => (await loadSigningCa(options)).certificatePem)
    const { stateDirectory, publicDirectory } = options
    const outside = Array.from({ length: 2 }, async () => {
      const args = ['--input-type=module', '-e', child, stateDirectory, publicDirectory]
      return (await run(process.execPath, args)).stdout
    })
    expect(new Set(await Promise.all([...inside, ...outside])).size).toBe(1)
    expect(await readdir(join(directory, 'state'))).toEqual(['ca-key.pem'])
    expect((await readdir(join(directory, 'public'))).toSorted()).toEqual(publicNames)
  })
})

describe('a later start', () => {
  it('has the same CA, and puts missing public files back', async () => {
    const { ca, directory } = await temporaryCa()
    await rm(join(directory, 'public'), { recursive: true })
    const again = await loadSigningCa(caOptions(directory))
    expect(again.certificatePem).toBe(ca.certificatePem)
    expect(await readFile(join(directory, 'public', 'ca.pem'), 'utf8')).toBe(ca.certificatePem)
    expect((await readdir(join(directory, 'public'))).toSorted()).toEqual(publicNames)
  })

  it('has bundle and trust store of the roots that there are then, and is the same file where nothing changed', async () => {
    const { directory } = await temporaryCa()
    const file = join(directory, 'public', 'truststore.jks')
    const before = await readFile(file)
    await loadSigningCa(caOptions(directory))
    expect(await readFile(file)).toEqual(before)
    const root = getCACertificates('bundled')[0] ?? ''
    await loadSigningCa(caOptions(directory, { systemRoots: () => [root] }))
    expect((await readFile(file)).includes(new X509Certificate(root).raw)).toBe(true)
  })

  const key = (directory: string): string => join(directory, 'state', 'ca-key.pem')
  const damages: Record<string, [(directory: string) => Promise<void>, RegExp]> = {
    'an empty key file': [(d) => writeFile(key(d), ''), /ca-key\.pem: holds no readable private key/],
    'a key file of noise': [(d) => writeFile(key(d), Buffer.alloc(500, 0xff)), /holds no readable private key/],
    'a key file cut in half': [
      async (d) => writeFile(key(d), (await readFile(key(d))).subarray(0, 120)),
      /holds no readable private key/,
    ],
    'a key file without its certificate': [
      async (d) => writeFile(key(d), (await readFile(key(d), 'utf8')).split('-----BEGIN CERT')[0] ?? ''),
      /holds no certificate/,
    ],
    'a key file with a damaged certificate': [
      async (d) =>
        writeFile(key(d), (await readFile(key(d), 'utf8')).replace(/(BEGIN CERTIFICATE-----\n.{20}).{30}/, '$1')),
      /holds no certificate \(PEM\), or one that cannot be read/,
    ],
    'the certificate of another key': [
      async (d) => {
        const other = await temporaryCa()
        const [own = ''] = (await readFile(key(d), 'utf8')).split('-----BEGIN CERT')
        await writeFile(key(d), own + other.ca.certificatePem)
      },
      /do not belong together/,
    ],
    'a leaf in place of the CA': [
      async (d) => {
        const { ca } = await temporaryCa()
        const leaf = ca.mint(host('good.test'))
        await writeFile(key(d), leaf.key + leaf.certificate)
      },
      /not that of a CA/,
    ],
    'a directory in place of the key': [
      async (d) => {
        await rm(key(d))
        await mkdir(key(d))
      },
      /ca-key\.pem: cannot be read/,
    ],
    'a key that others can read': [(d) => chmod(key(d), 0o640), /others can read or write it; chmod 600/],
    'a state directory that others can enter': [(d) => chmod(join(d, 'state'), 0o755), /others can .* chmod 700/],
    'a key that is gone while its certificate is still shown': [(d) => rm(key(d)), /the CA key is missing/],
    'a public certificate of another CA': [
      async (d) => writeFile(join(d, 'public', 'ca.pem'), (await temporaryCa()).ca.certificatePem),
      /is not the certificate of our CA key/,
    ],
  }
  it.each(Object.entries(damages))('is refused for %s, and changes nothing', async (_name, [damage, message]) => {
    const { directory } = await temporaryCa()
    await damage(directory)
    const before = await snapshot(directory)
    const error: unknown = await loadSigningCa(caOptions(directory)).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(SigningCaError)
    expect(String(error)).toMatch(message)
    expect(await snapshot(directory)).toEqual(before)
  })

  it('is refused for a key that belongs to another user', async (context) => {
    if (process.getuid?.() !== 0) context.skip('skipped: only root can give a file away')
    const { directory } = await temporaryCa()
    await chown(key(directory), 12345, 12345)
    await expect(loadSigningCa(caOptions(directory))).rejects.toThrow(/belongs to user 12345, and we are user 0/)
  })

  it('is refused after the CA has expired, and before it is valid', async () => {
    const { directory } = await temporaryCa()
    await expect(loadSigningCa(caOptions(directory, { now: inYears(11) }))).rejects.toThrow(/the CA expired on 20/)
    await expect(loadSigningCa(caOptions(directory, { now: inYears(-1) }))).rejects.toThrow(/not valid before 20/)
  })

  it('is refused where the public directory would show the key', async () => {
    const directory = await temporaryDirectory()
    const state = join(directory, 'state')
    for (const publicDirectory of [state, directory, '/']) {
      const options = caOptions(directory, { publicDirectory, stateDirectory: state })
      await expect(loadSigningCa(options)).rejects.toThrow(/must not hold/)
    }
    await loadSigningCa(caOptions(directory, { publicDirectory: join(state, 'public') }))
  })
})

describe("an operator's own CA", () => {
  it.for(['rsa:2048', 'ec:P-256', 'ec:P-384'])('of %s signs leaves that verify strictly', async (kind, context) => {
    await needs(context, 'openssl')
    const directory = await temporaryDirectory()
    const own = await ownCa(directory, kind)
    const ca = await loadSigningCa(caOptions(directory, { own }))
    expect(ca.certificatePem).toBe(new X509Certificate(await readFile(own.certificate)).toString())
    expect(await readdir(join(directory, 'state'))).toEqual([])
    const leaf = join(directory, 'leaf.pem')
    await writeFile(leaf, ca.mint(host('good.test')).certificate)
    await run('openssl', ['verify', '-x509_strict', '-CAfile', own.certificate, leaf])
    expect(new X509Certificate(await readFile(leaf)).checkIssued(new X509Certificate(ca.certificatePem))).toBe(true)
  })

  it.for(['rsa:1024', 'ec:P-521'])('of %s is refused: some client could not verify it', async (kind, context) => {
    await needs(context, 'openssl')
    const directory = await temporaryDirectory()
    const own = await ownCa(directory, kind)
    await expect(loadSigningCa(caOptions(directory, { own }))).rejects.toThrow(/the key must be EC on P-256 or P-384/)
  })

  it('that is an intermediate one comes with its issuer, for clients that trust the root alone', async (context) => {
    await needs(context, 'openssl')
    const directory = await temporaryDirectory()
    const root = await ownCa(directory, 'ec:P-256')
    const own = { certificate: join(directory, 'between.pem'), key: join(directory, 'between-key.pem') }
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', own.key]
    const usage = ['-addext', 'keyUsage=critical,keyCertSign', '-addext', 'basicConstraints=critical,CA:TRUE,pathlen:0']
    const issuer = ['-CA', root.certificate, '-CAkey', root.key, '-subj', '/CN=Between']
    await run('openssl', ['req', '-x509', ...key, ...usage, ...issuer, '-out', own.certificate])
    await chmod(own.key, 0o600)
    const ca = await loadSigningCa(caOptions(directory, { own }))
    const leaf = join(directory, 'leaf.pem')
    await writeFile(leaf, ca.mint(host('good.test')).certificate)
    await run('openssl', ['verify', '-x509_strict', '-CAfile', root.certificate, '-untrusted', leaf, leaf])
  })

  it('replaces what the public directory showed before', async (context) => {
    await needs(context, 'openssl')
    const { ca: before, directory } = await temporaryCa()
    const own = await ownCa(directory, 'ec:P-256')
    const ca = await loadSigningCa(caOptions(directory, { own }))
    expect(await readFile(join(directory, 'public', 'ca.pem'), 'utf8')).toBe(ca.certificatePem)
    const store = await readFile(join(directory, 'public', 'truststore.jks'))
    const holds = ({ certificatePem }: typeof ca) => store.includes(new X509Certificate(certificatePem).raw)
    expect([holds(ca), holds(before)]).toEqual([true, false])
  })

  it('is refused with a key that is missing, another, writable by others, or shown', async (context) => {
    await needs(context, 'openssl')
    const directory = await temporaryDirectory()
    const own = await ownCa(directory, 'ec:P-256')
    const load = (change: object) => loadSigningCa(caOptions(directory, { own: { ...own, ...change } }))
    await expect(load({ key: join(directory, 'none.pem') })).rejects.toThrow(/none\.pem: cannot be read/)
    const other = await ownCa(await temporaryDirectory(), 'ec:P-256')
    await expect(load({ key: other.key })).rejects.toThrow(/do not belong together/)
    await mkdir(join(directory, 'public'), { recursive: true })
    const shown = join(directory, 'public', 'key.pem')
    await writeFile(shown, await readFile(own.key))
    await expect(load({ key: shown })).rejects.toThrow(/must not hold/)
    await chmod(own.key, 0o666)
    await expect(load({})).rejects.toThrow(/others can write it/)
  })
})

async function ownCa(directory: string, kind: string): Promise<{ certificate: string; key: string }> {
  const [type = '', size = ''] = kind.split(':')
  const certificate = join(directory, 'own.pem')
  const key = join(directory, 'own-key.pem')
  const newKey = type === 'rsa' ? ['-newkey', kind] : ['-newkey', 'ec', '-pkeyopt', `ec_paramgen_curve:${size}`]
  const subject = ['-subj', '/C=DE/O=Example GmbH/OU=Network/CN=Example Egress CA']
  const usage = ['-addext', 'keyUsage=critical,keyCertSign,cRLSign']
  await run('openssl', ['req', '-x509', ...newKey, '-nodes', '-keyout', key, '-out', certificate, ...subject, ...usage])
  await Promise.all([chmod(key, 0o600), chmod(certificate, 0o644)])
  return { certificate, key }
}

/** What keytool reads of a trust store whose digest fits the password. */
async function listOf(file: string, more: readonly string[]): Promise<string> {
  const args = ['-list', '-rfc', '-keystore', file, '-storetype', 'JKS', '-storepass', 'changeit', ...more]
  return (await run('keytool', args)).stdout
}

/** Fingerprints. */
function certificatesIn(text: string): string[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  return blocks.map((block) => new X509Certificate(block).fingerprint256)
}

/** Every file below with its content, but for the directories themselves. */
async function snapshot(directory: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {}
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) files[entry.name] = (await readFile(join(entry.parentPath, entry.name))).toString('base64')
  }
  return files
}
