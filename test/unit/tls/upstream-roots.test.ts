import { X509Certificate } from 'node:crypto'
import { getCACertificates } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { upstreamRoots } from '../../../src/tls/upstream-roots.ts'
import { temporaryCa } from '../../support/temporary-ca.ts'

describe('the roots for origins', () => {
  it('are those of Node, and what the operator adds, one certificate each', async () => {
    const { ca } = await temporaryCa()
    const other = await temporaryCa()
    const bundled = getCACertificates('bundled')
    expect(upstreamRoots('bundled', null)).toEqual(bundled)
    const extra = `our own roots:\n${ca.certificatePem}\nand another\r\n${other.ca.certificatePem}`
    const roots = upstreamRoots('bundled', extra)
    expect(roots.slice(0, bundled.length)).toEqual(bundled)
    expect(roots.slice(bundled.length)).toEqual([ca.certificatePem, other.ca.certificatePem])
    for (const root of roots) expect(new X509Certificate(root).subject).not.toBe('')
  })

  it.each(['', 'no certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'])(
    'are refused with additional ones that cannot be read: %j',
    (extraCa) => {
      expect(() => upstreamRoots('bundled', extraCa)).toThrow(/upstream\.extraCa/)
    },
  )

  it('are refused with additional ones of which the last is cut short', async () => {
    const { ca } = await temporaryCa()
    expect(() => upstreamRoots('bundled', ca.certificatePem + ca.certificatePem.slice(0, 200))).toThrow(/extraCa/)
  })
})
