/**
 * The signing CA: loaded, or made on first use; and the files that a sandbox may see of it.
 *
 * Promises: a CA that cannot be used is an error at the start, never a new CA in silence and never a door without one.
 * The key is read by us alone; key and certificate are one file, so that they cannot come apart and of two processes
 * that start at once both end with the same pair. Into the public directory go `ca.pem`, `bundle.pem` and the trust store
 * of JVMs, nothing else (decision 3).
 */

import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { mkdir, readFile, realpath, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import type { Host } from '../net/host.ts'
import { createLeafIssue, issuerOf, makeCaCertificate, signatureOf } from './certificate.ts'
import { parseCertificates, spellCertificates } from './pem.ts'
import { placeFileOnce, replaceFile } from './place-file.ts'
import { publicFilesIn } from './public-files.ts'
import { spellTrustStore } from './trust-store.ts'

export type Leaf = { readonly key: string; readonly certificate: string; readonly notAfter: Date }

export type SigningCa = {
  /** What a client must trust; several certificates where an operator's CA comes with its issuers. */
  readonly certificatePem: string
  readonly notAfter: Date
  /** A leaf for this host alone, under one key that never leaves the process. */
  mint(host: Host): Leaf
}

export type SigningCaOptions = {
  /** Private: `ca-key.pem`. Made with mode 0700. */
  readonly stateDirectory: string
  /** What `public-files.ts` names. */
  readonly publicDirectory: string
  /** The operator's own CA, as two file names. */
  readonly own: { readonly certificate: string; readonly key: string } | null
  readonly now: () => Date
  /** The roots that bundle and trust store hold beside ours: PEM, one certificate each. */
  readonly systemRoots: () => readonly string[]
}

/** Why the CA cannot be used: for the operator, at the start. */
export class SigningCaError extends Error {}

const dayMs = 86_400_000
const caLifeMs = 3650 * dayMs
const leafLifeMs = 7 * dayMs
// Sandboxes have clocks of their own: some are behind.
const caBackdatedMs = dayMs
const leafBackdatedMs = 3_600_000

type KeyPair = { readonly key: KeyObject; readonly chain: readonly X509Certificate[] }

export async function loadSigningCa(options: SigningCaOptions): Promise<SigningCa> {
  const { stateDirectory, publicDirectory, own, now } = options
  await makePrivate(stateDirectory)
  await makePublic(publicDirectory, own === null ? [stateDirectory] : [stateDirectory, own.key])
  const files = publicFilesIn(publicDirectory)
  // Read before the key: another process that starts now places the key first and this file after it.
  const shown = await readIfThere(files.ca)
  const pair = own === null ? await loadOrMake(join(stateDirectory, 'ca-key.pem'), shown, now()) : await loadOwn(own)
  const ca = createSigningCa(pair, own?.certificate ?? join(stateDirectory, 'ca-key.pem'), now)
  if (shown !== null && shown !== ca.certificatePem && own === null) throw strangeCertificate(files.ca)
  const roots = options.systemRoots()
  const bundle = [...roots, ca.certificatePem].map((pem) => `${pem.trim()}\n`).join('')
  const trustStore = spellTrustStore([
    ...pair.chain.map((certificate, index) => ({ alias: `sallyport-${index + 1}`, certificate })),
    ...roots.map((pem, index) => ({ alias: `system-${index + 1}`, certificate: new X509Certificate(pem) })),
  ])
  await attempt(publicDirectory, 'cannot be written', async () => {
    await replaceFile(files.ca, ca.certificatePem, 0o644)
    await replaceFile(files.bundle, bundle, 0o644)
    await replaceFile(files.trustStore, trustStore, 0o644)
  })
  return ca
}

function createSigningCa({ key, chain }: KeyPair, from: string, now: () => Date): SigningCa {
  const [certificate] = chain
  if (certificate === undefined) throw new SigningCaError(`${from}: holds no certificate`)
  judge(certificate, key, from, now())
  const issuer = issuerOf(certificate.raw, key)
  const leafKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const leafKeyPem = leafKey.export({ type: 'pkcs8', format: 'pem' })
  const issue = createLeafIssue(issuer, leafKey)
  // Clients that trust only the root behind an operator's CA need what lies between.
  const between = selfIssued(certificate) ? '' : spellCertificates(chain)
  return {
    certificatePem: spellCertificates(chain),
    notAfter: issuer.notAfter,
    mint(host) {
      const at = now().getTime()
      const notBefore = new Date(Math.max(at - leafBackdatedMs, issuer.notBefore.getTime()))
      const notAfter = new Date(Math.min(at + leafLifeMs, issuer.notAfter.getTime()))
      return { key: leafKeyPem, certificate: issue(host, { notBefore, notAfter }) + between, notAfter }
    },
  }
}

/** Everything that would make clients refuse our leaves later, said now. */
function judge(certificate: X509Certificate, key: KeyObject, from: string, now: Date): void {
  const wrong = (what: string): SigningCaError => new SigningCaError(`${from}: ${what}`)
  if (signatureOf(key) === null) throw wrong('the key must be EC on P-256 or P-384, or RSA of 2048 bits or more')
  if (!certificate.checkPrivateKey(key)) throw wrong('the CA certificate and the CA key do not belong together')
  // Node's `ca` is true only where basicConstraints says CA and keyUsage, if given, allows signing certificates.
  if (!certificate.ca) throw wrong('the certificate is not that of a CA that may sign certificates')
  if (now < certificate.validFromDate)
    throw wrong(`the CA is not valid before ${certificate.validFromDate.toISOString()}`)
  if (now >= certificate.validToDate) throw wrong(`the CA expired on ${certificate.validToDate.toISOString()}`)
}

async function loadOrMake(path: string, shown: string | null, now: Date): Promise<KeyPair> {
  const existing = await readIfThere(path)
  if (existing !== null) {
    await refuseOthers(path, 'chmod 600')
    return parsePair(existing, path)
  }
  // The key is gone and sandboxes may still trust its certificate: a new CA now would look like an attack to them.
  if (shown !== null) {
    throw new SigningCaError(
      `${path}: the CA key is missing, but its certificate (ca.pem) is in the public directory. ` +
        'Put the key back, or delete ca.pem to have a new CA made, which every sandbox must then trust anew',
    )
  }
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const certificate = makeCaCertificate(key, {
    notBefore: new Date(now.getTime() - caBackdatedMs),
    notAfter: new Date(now.getTime() + caLifeMs),
  })
  const text = key.export({ type: 'pkcs8', format: 'pem' }) + certificate
  await attempt(path, 'cannot be written', () => placeFileOnce(path, text, 0o600))
  // Whoever was first: what lies there now is the CA.
  return parsePair(await attempt(path, 'cannot be read', () => readFile(path, 'utf8')), path)
}

async function loadOwn(own: { readonly certificate: string; readonly key: string }): Promise<KeyPair> {
  for (const path of [own.certificate, own.key]) {
    const { mode } = await attempt(path, 'cannot be read', () => stat(path))
    if ((mode & 0o022) !== 0) throw new SigningCaError(`${path}: others can write it; chmod go-w`)
  }
  const keyText = await attempt(own.key, 'cannot be read', () => readFile(own.key, 'utf8'))
  const certificateText = await attempt(own.certificate, 'cannot be read', () => readFile(own.certificate, 'utf8'))
  return { key: parseKey(keyText, own.key), chain: parseChain(certificateText, own.certificate) }
}

function parsePair(text: string, path: string): KeyPair {
  return { key: parseKey(text, path), chain: parseChain(text, path) }
}

function parseKey(text: string, path: string): KeyObject {
  try {
    return createPrivateKey(text)
  } catch (error) {
    throw new SigningCaError(`${path}: holds no readable private key (PEM, without a passphrase)`, { cause: error })
  }
}

function parseChain(text: string, path: string): readonly X509Certificate[] {
  const chain = parseCertificates(text)
  if (chain === null) throw new SigningCaError(`${path}: holds no certificate (PEM), or one that cannot be read`)
  return chain
}

function selfIssued(certificate: X509Certificate): boolean {
  return certificate.checkIssued(certificate)
}

async function makePrivate(directory: string): Promise<void> {
  await attempt(directory, 'cannot be made', () => mkdir(directory, { recursive: true, mode: 0o700 }))
  await refuseOthers(directory, 'chmod 700')
}

async function makePublic(directory: string, kept: readonly string[]): Promise<void> {
  await attempt(directory, 'cannot be made', () => mkdir(directory, { recursive: true, mode: 0o755 }))
  for (const path of kept) {
    const [outer, inner] = await Promise.all([
      realpath(directory),
      attempt(path, 'cannot be read', () => realpath(path)),
    ])
    if (relative(outer, inner).split(sep)[0] === '..') continue
    throw new SigningCaError(`${directory}: sandboxes see the public directory, and it must not hold ${path}`)
  }
}

async function refuseOthers(path: string, cure: string): Promise<void> {
  const { mode, uid } = await attempt(path, 'cannot be read', () => stat(path))
  if ((mode & 0o077) !== 0) throw new SigningCaError(`${path}: others can read or write it; ${cure}`)
  const us = process.getuid?.() ?? uid
  if (uid !== us) throw new SigningCaError(`${path}: belongs to user ${uid}, and we are user ${us}`)
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw new SigningCaError(`${path}: cannot be read`, { cause: error })
  }
}

async function attempt<T>(path: string, failed: string, deed: () => Promise<T>): Promise<T> {
  try {
    return await deed()
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new SigningCaError(`${path}: ${failed} (${why})`, { cause: error })
  }
}

function strangeCertificate(path: string): SigningCaError {
  return new SigningCaError(
    `${path}: is not the certificate of our CA key. ` +
      'Delete it if it is a leftover; sandboxes that trust it must then get the new one',
  )
}
