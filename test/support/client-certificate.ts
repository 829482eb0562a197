/** A certificate of a client with its key, as `mtls` takes them: self-signed, another one each time. */

import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { makeCaCertificate } from '../../src/tls/certificate.ts'

export type ClientCertificate = {
  readonly pem: string
  readonly certificate: string
  readonly key: string
  readonly fingerprint: string
}

export function createClientCertificate(notBefore: Date, notAfter: Date): ClientCertificate {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const certificate = makeCaCertificate(privateKey, { notBefore, notAfter })
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' })
  const { fingerprint256 } = new X509Certificate(certificate)
  return { pem: `${certificate.trim()}\n${key}`, certificate, key, fingerprint: fingerprint256 }
}
