/**
 * Whom we believe when an origin shows its certificate.
 *
 * Promises: always an explicit list that no environment variable adds to or takes from (decision 27). A list that would
 * be empty, or not what the operator wrote, is an error at the start.
 */

import { readFileSync } from 'node:fs'
import { getCACertificates } from 'node:tls'
import { parseCertificates } from './pem.ts'

// Node's own answer for `system` follows SSL_CERT_FILE and SSL_CERT_DIR on these systems, so we read what
// distributions keep: Debian, Alpine, Arch, Gentoo; Fedora and RHEL; SUSE; Alpine and the BSDs.
const systemBundles = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
]

/** The roots to give as `ca`: Node's own or the system's, and the operator's additional ones (PEM text). */
export function upstreamRoots(choice: 'bundled' | 'system', extraCa: string | null): readonly string[] {
  const roots = choice === 'bundled' ? getCACertificates('bundled') : systemRoots()
  // With an empty `ca` Node falls back to defaults that the environment can widen.
  if (roots.length === 0) throw new Error(`upstream.roots: ${choice}: there are no root certificates on this machine`)
  if (extraCa === null) return roots
  // Node skips what it cannot read in `ca` without a word.
  const extra = parseCertificates(extraCa)
  if (extra === null) throw new Error('upstream.extraCa: holds no certificate (PEM), or one that cannot be read')
  return [...roots, ...extra.map(String)]
}

function systemRoots(): readonly string[] {
  if (process.platform === 'darwin' || process.platform === 'win32') return getCACertificates('system')
  for (const path of systemBundles) {
    const roots = parseCertificates(readIfThere(path))
    if (roots !== null) return roots.map(String)
  }
  return []
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
