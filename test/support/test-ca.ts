/** A certificate authority for origin stand-ins, and certificates that are wrong in one way each. */

import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'
import type { Host } from '../../src/net/host.ts'
import { parseHost } from '../../src/net/host.ts'
import { createLeafIssue, issuerOf, makeCaCertificate } from '../../src/tls/certificate.ts'

export type CertificateFault = 'expired' | 'not_yet_valid' | 'self_signed' | 'untrusted_issuer' | 'wrong_name'

export type TestCa = {
  readonly certificate: string
  readonly pemFor: (name: string) => { readonly key: string; readonly certificate: string }
  /** A context for a server that is asked for by this name. */
  readonly contextFor: (name: string, fault?: CertificateFault, more?: SecureContextOptions) => SecureContext
}

const dayMs = 86_400_000

export function createTestCa(): TestCa {
  const key = newKey()
  const leafKey = newKey()
  const life = { notBefore: new Date(Date.now() - 30 * dayMs), notAfter: new Date(Date.now() + 30 * dayMs) }
  const certificate = makeCaCertificate(key, life)
  const issue = createLeafIssue(issuerOf(new X509Certificate(certificate).raw, key), leafKey)
  const leafPem = pemOf(leafKey)
  const contexts = new Map<string, SecureContext>()

  const certificateFor = (host: Host, fault: CertificateFault | undefined): string => {
    const now = Date.now()
    switch (fault) {
      case 'expired':
        return issue(host, { notBefore: new Date(now - 3 * dayMs), notAfter: new Date(now - dayMs) })
      case 'not_yet_valid':
        return issue(host, { notBefore: new Date(now + dayMs), notAfter: new Date(now + 3 * dayMs) })
      case 'self_signed':
        return makeCaCertificate(leafKey, life)
      case 'untrusted_issuer': {
        const other = newKey()
        const stranger = makeCaCertificate(other, life)
        return createLeafIssue(issuerOf(new X509Certificate(stranger).raw, other), leafKey)(host, life)
      }
      case 'wrong_name':
        return issue(known('other.test'), life)
      case undefined:
        return issue(host, { notBefore: new Date(now - dayMs), notAfter: new Date(now + dayMs) })
    }
  }

  return {
    certificate,
    pemFor: (name) => ({ key: leafPem, certificate: certificateFor(known(name), undefined) }),
    contextFor: (name, fault, more = {}) => {
      const id = JSON.stringify([name, fault, more])
      const made =
        contexts.get(id) ?? createSecureContext({ key: leafPem, cert: certificateFor(known(name), fault), ...more })
      contexts.set(id, made)
      return made
    },
  }
}

function known(name: string): Host {
  const host = parseHost(name)
  if (host === null) throw new Error(`${name} is no host`)
  return host
}

function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' })
}
