/**
 * Certificates as a JVM reads them: Java's own key store format (JKS), which every JVM opens, whereas PEM is read by none
 * and a PKCS#12 of bare certificates only by those that know its private marks. Pure.
 *
 * Promises: the same certificates are the same bytes. There is no place for a key in what is written.
 */

import { createHash, type X509Certificate } from 'node:crypto'

/** The customary one, and no secret: a JVM that is given none leaves out the check of the digest. */
export const trustStorePassword = 'changeit'

export type TrustedCertificate = {
  /** Lower case: a JVM lowers it, and of two that are then alike keeps one. */
  readonly alias: string
  readonly certificate: X509Certificate
}

const magic = 0xfeedfeed
const version = 2
const trustedCertificate = 2

export function spellTrustStore(trusted: readonly TrustedCertificate[]): Buffer {
  const content = Buffer.concat([uint32(magic), uint32(version), uint32(trusted.length), ...trusted.map(entry)])
  const digest = createHash('sha1')
    .update(Buffer.from(trustStorePassword, 'utf16le').swap16())
    .update('Mighty Aphrodite')
    .update(content)
    .digest()
  return Buffer.concat([content, digest])
}

function entry({ alias, certificate }: TrustedCertificate): Buffer {
  // When it was added; nobody goes by it, and the clock would make every start another file.
  const date = Buffer.alloc(8)
  date.writeBigInt64BE(BigInt(certificate.validFromDate.getTime()))
  const { raw } = certificate
  return Buffer.concat([uint32(trustedCertificate), utf(alias), date, utf('X.509'), uint32(raw.length), raw])
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** Java's writeUTF, which for ASCII is its length and itself. */
function utf(ascii: string): Buffer {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(ascii.length)
  return Buffer.concat([length, Buffer.from(ascii, 'latin1')])
}
