/** PEM text that may hold several certificates, as operators' files do. Pure. */

import { X509Certificate } from 'node:crypto'

/** Every certificate in the text, or null where there is none or one cannot be read. Other text around them is skipped. */
export function parseCertificates(text: string): readonly X509Certificate[] | null {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  const begun = text.split('-----BEGIN CERTIFICATE-----').length - 1
  if (blocks.length === 0 || blocks.length !== begun) return null
  try {
    return blocks.map((block) => new X509Certificate(block))
  } catch {
    return null
  }
}

/** The certificates one after another, each ending in a newline. */
export function spellCertificates(certificates: readonly X509Certificate[]): string {
  return certificates.map((certificate) => `${certificate.toString().trim()}\n`).join('')
}
