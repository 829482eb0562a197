/**
 * Certificates in DER: the one shape of our CA and the one shape of a leaf. No files, no clock of its own.
 *
 * Promises: what strict clients ask of RFC 5280 holds (Python's VERIFY_X509_STRICT, Go, OpenSSL, GnuTLS, Node): key
 * identifiers that match, critical basicConstraints and keyUsage, positive random serials, whole seconds, one SAN per
 * leaf (decision 29), and a leaf's life inside its issuer's.
 */

import { createHash, createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto'
import { AsnConvert, OctetString } from '@peculiar/asn1-schema'
import * as x509 from '@peculiar/asn1-x509'
import type { Host } from '../net/host.ts'

/** A CA's name and key, as its leaves need them. */
export type Issuer = {
  readonly key: KeyObject
  readonly name: x509.Name
  readonly keyId: ArrayBuffer
  readonly notBefore: Date
  readonly notAfter: Date
}

export type Validity = { readonly notBefore: Date; readonly notAfter: Date }

const ecdsaWithSha256 = '1.2.840.10045.4.3.2'
const ecdsaWithSha384 = '1.2.840.10045.4.3.3'
const sha256WithRsa = '1.2.840.113549.1.1.11'
const commonName = '2.5.4.3'
// RFC 5280 appendix A.1 (ub-common-name).
const commonNameMax = 64

/** How a key signs, or null for keys that some client we promise could not verify. */
export function signatureOf(key: KeyObject): { readonly oid: string; readonly digest: string } | null {
  const details = key.asymmetricKeyDetails
  if (key.asymmetricKeyType === 'rsa') {
    return (details?.modulusLength ?? 0) >= 2048 ? { oid: sha256WithRsa, digest: 'sha256' } : null
  }
  if (details?.namedCurve === 'prime256v1') return { oid: ecdsaWithSha256, digest: 'sha256' }
  if (details?.namedCurve === 'secp384r1') return { oid: ecdsaWithSha384, digest: 'sha384' }
  return null
}

/** RFC 7093 §2 (1): the leftmost 160 bits of the SHA-256 of the public key's bits. */
function keyIdOf(key: KeyObject): ArrayBuffer {
  const bits = Buffer.from(publicKeyInfo(key).subjectPublicKey)
  return arrayBuffer(createHash('sha256').update(bits).digest().subarray(0, 20))
}

/** Our own CA: signs leaves and nothing that could sign again. */
export function makeCaCertificate(key: KeyObject, validity: Validity): string {
  const keyId = keyIdOf(key)
  const subject = nameOf(`Sallyport CA ${Buffer.from(keyId).toString('hex', 0, 4)}`)
  const issuer: Issuer = { key, name: subject, keyId, ...validity }
  return issue(issuer, validity, subject, publicKeyInfo(key), [
    extension(x509.id_ce_basicConstraints, new x509.BasicConstraints({ cA: true, pathLenConstraint: 0 }), 'critical'),
    keyUsage(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign),
    subjectKeyId(keyId),
    authorityKeyId(keyId),
  ])
}

/** The issuer a CA certificate describes: its name as it is written there, its key identifier if it has one. */
export function issuerOf(certificateDer: Buffer, key: KeyObject): Issuer {
  const { tbsCertificate } = AsnConvert.parse(certificateDer, x509.Certificate)
  const { subject, extensions, validity } = tbsCertificate
  const stated = extensions?.find(({ extnID }) => extnID === x509.id_ce_subjectKeyIdentifier)
  const keyId =
    stated === undefined ? keyIdOf(key) : AsnConvert.parse(stated.extnValue, x509.SubjectKeyIdentifier).buffer
  return {
    key,
    name: subject,
    keyId,
    notBefore: validity.notBefore.getTime(),
    notAfter: validity.notAfter.getTime(),
  }
}

/** A function that makes leaves for one key: what all leaves share is built once. */
export function createLeafIssue(issuer: Issuer, leafKey: KeyObject): (host: Host, validity: Validity) => string {
  const spki = publicKeyInfo(leafKey)
  const shared = [
    extension(x509.id_ce_basicConstraints, new x509.BasicConstraints({ cA: false }), 'critical'),
    keyUsage(x509.KeyUsageFlags.digitalSignature),
    extension(x509.id_ce_extKeyUsage, new x509.ExtendedKeyUsage([x509.id_kp_serverAuth])),
    subjectKeyId(keyIdOf(leafKey)),
    authorityKeyId(issuer.keyId),
  ]
  return (host, validity) => {
    // Too long for a common name: no subject at all, and then the SAN is critical (RFC 5280 §4.2.1.6).
    const named = host.name.length <= commonNameMax
    const san = new x509.GeneralName(host.ip === null ? { dNSName: host.name } : { iPAddress: host.name })
    return issue(issuer, validity, named ? nameOf(host.name) : new x509.Name([]), spki, [
      ...shared,
      extension(x509.id_ce_subjectAltName, new x509.SubjectAlternativeName([san]), named ? 'not critical' : 'critical'),
    ])
  }
}

function issue(
  issuer: Issuer,
  { notBefore, notAfter }: Validity,
  subject: x509.Name,
  subjectPublicKeyInfo: x509.SubjectPublicKeyInfo,
  extensions: x509.Extension[],
): string {
  const signature = signatureOf(issuer.key)
  if (signature === null) throw new TypeError('this key cannot sign certificates')
  const algorithm = new x509.AlgorithmIdentifier({
    algorithm: signature.oid,
    // RFC 4055 §5 wants a NULL for RSA, RFC 5758 §3.2 nothing for ECDSA.
    ...(signature.oid === sha256WithRsa ? { parameters: null } : {}),
  })
  const tbsCertificate = new x509.TBSCertificate({
    version: x509.Version.v3,
    serialNumber: randomSerial(),
    signature: algorithm,
    issuer: issuer.name,
    validity: new x509.Validity({ notBefore: wholeSecond(notBefore), notAfter: wholeSecond(notAfter) }),
    subject,
    subjectPublicKeyInfo,
    extensions: new x509.Extensions(extensions),
  })
  const signed = Buffer.from(AsnConvert.serialize(tbsCertificate))
  const signatureValue = arrayBuffer(sign(signature.digest, signed, issuer.key))
  const certificate = new x509.Certificate({ tbsCertificate, signatureAlgorithm: algorithm, signatureValue })
  return pem(Buffer.from(AsnConvert.serialize(certificate)))
}

function extension(extnID: string, value: unknown, critical: 'critical' | 'not critical' = 'not critical') {
  return new x509.Extension({
    extnID,
    critical: critical === 'critical',
    extnValue: new OctetString(AsnConvert.serialize(value)),
  })
}

function keyUsage(flags: number): x509.Extension {
  return extension(x509.id_ce_keyUsage, new x509.KeyUsage(flags), 'critical')
}

function subjectKeyId(keyId: ArrayBuffer): x509.Extension {
  return extension(x509.id_ce_subjectKeyIdentifier, new x509.SubjectKeyIdentifier(keyId))
}

function authorityKeyId(keyId: ArrayBuffer): x509.Extension {
  const keyIdentifier = new x509.KeyIdentifier(keyId)
  return extension(x509.id_ce_authorityKeyIdentifier, new x509.AuthorityKeyIdentifier({ keyIdentifier }))
}

function publicKeyInfo(key: KeyObject): x509.SubjectPublicKeyInfo {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  return AsnConvert.parse(publicKey.export({ type: 'spki', format: 'der' }), x509.SubjectPublicKeyInfo)
}

function nameOf(text: string): x509.Name {
  const value = new x509.AttributeValue({ utf8String: text })
  return new x509.Name([
    new x509.RelativeDistinguishedName([new x509.AttributeTypeAndValue({ type: commonName, value })]),
  ])
}

/** 127 random bits, positive and without a leading zero byte (RFC 5280 §4.1.2.2). */
function randomSerial(): ArrayBuffer {
  const serial = randomBytes(16)
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40
  return arrayBuffer(serial)
}

/** RFC 5280 §4.1.2.5.2: a time has no fraction. */
function wholeSecond(date: Date): Date {
  return new Date(Math.floor(date.getTime() / 1000) * 1000)
}

function arrayBuffer(bytes: Buffer): ArrayBuffer {
  return Uint8Array.from(bytes).buffer
}

function pem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}
