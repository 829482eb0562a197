import { createHash, X509Certificate } from 'node:crypto'
import { getCACertificates } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { spellTrustStore, type TrustedCertificate } from '../../../src/tls/trust-store.ts'

const trusted = getCACertificates('bundled')
  .slice(0, 5)
  .map((pem, index) => ({ alias: `root-${index}`, certificate: new X509Certificate(pem) }))

type Read = { readonly alias: string; readonly date: bigint; readonly type: string; readonly raw: Buffer }

/** As java.security reads it: big-endian, each text and each certificate behind its length. */
function read(store: Buffer): { readonly head: readonly number[]; readonly entries: Read[]; readonly rest: Buffer } {
  let at = 12
  const take = (length: number): Buffer => store.subarray(at, (at += length))
  const text = (): string => take(take(2).readUInt16BE()).toString('latin1')
  const head = [store.readUInt32BE(0), store.readUInt32BE(4), store.readUInt32BE(8)]
  const entries = Array.from({ length: head[2] ?? 0 }, () => {
    expect(take(4).readUInt32BE(), 'a trusted certificate').toBe(2)
    return { alias: text(), date: take(8).readBigInt64BE(), type: text(), raw: take(take(4).readUInt32BE()) }
  })
  return { head, entries, rest: store.subarray(at) }
}

describe('a trust store', () => {
  it.each([0, 1, 5])('of %i certificates holds them in order, and its digest', (count) => {
    const store = spellTrustStore(trusted.slice(0, count))
    const { head, entries, rest } = read(store)
    expect(head).toEqual([0xfeedfeed, 2, count])
    expect(entries).toEqual(trusted.slice(0, count).map(asRead))
    const password = '\0c\0h\0a\0n\0g\0e\0i\0t'
    const content = store.subarray(0, -20).toString('latin1')
    expect(rest).toEqual(createHash('sha1').update(`${password}Mighty Aphrodite${content}`, 'latin1').digest())
  })

  it('is the same bytes for the same certificates', () => {
    expect(spellTrustStore(trusted)).toEqual(spellTrustStore(trusted))
  })
})

function asRead({ alias, certificate }: TrustedCertificate): Read {
  return { alias, date: BigInt(certificate.validFromDate.getTime()), type: 'X.509', raw: certificate.raw }
}
