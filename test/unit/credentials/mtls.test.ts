import { createPrivateKey } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { mtls } from '../../../src/credentials/kinds/mtls.ts'
import type { Mint } from '../../../src/credentials/minted-source.ts'
import { parseSecret, type Secret } from '../../../src/credentials/secret.ts'
import { createClientCertificate } from '../../support/client-certificate.ts'

const now = Date.parse('2026-11-21T12:00:00Z')
const day = 86_400_000
const own = createClientCertificate(new Date(now - day), new Date(now + day))
const other = createClientCertificate(new Date(now - day), new Date(now + day))

function secretOf(text: string): Secret {
  const secret = parseSecret(text, { unsafeShortSecret: false, secretShape: 'lines' })
  if (typeof secret === 'string') throw new Error(secret)
  return secret
}

const mint: Mint =
  mtls.mint?.(
    {},
    {
      ask: async () => Promise.resolve('nobody is asked'),
      epochMs: () => now,
      rules: { unsafeShortSecret: false },
      note: () => undefined,
    },
  ) ?? expect.fail('it looks at its secret')

async function outcome(text: string): Promise<string> {
  const minted = await mint(secretOf(text))
  return typeof minted === 'string' ? minted : `holds for ${minted.lifetimeMs / day} d`
}

describe('a client certificate', () => {
  test.each([
    ['before its key', own.pem],
    ['behind its key', `${own.key}${own.certificate}`],
    ['with others that lead to its root', `${own.certificate}\n${other.certificate}\n${own.key}`],
    ['among other text', `Bag Attributes\n  a: b\n${own.pem}\n`],
    ['with the line ends of Windows', own.pem.replaceAll('\n', '\r\n')],
  ])('%s is taken for as long as it holds', async (_what, text) => {
    expect(await outcome(text)).toBe('holds for 1 d')
  })

  test.each([
    ['without a key', own.certificate, 'needs its certificate'],
    ['that is only a key', own.key, 'needs its certificate'],
    ['with two keys', `${own.pem}${other.key}`, 'needs its certificate'],
    ["with another's key", `${own.certificate}\n${other.key}`, 'a key that does not belong'],
    ['behind the one that signed it', `${other.certificate}\n${own.pem}`, 'a key that does not belong'],
    ['that has ended', createClientCertificate(new Date(now - day), new Date(now - 1000)).pem, 'that has ended'],
    [
      'that does not hold yet',
      createClientCertificate(new Date(now + day), new Date(now + 2 * day)).pem,
      'not hold yet',
    ],
    ['that is none', own.pem.replace(/MII/, 'AII'), 'cannot be read'],
    [
      'with a key behind a passphrase',
      own.certificate +
        createPrivateKey(own.key).export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'p' }),
      'cannot be read',
    ],
  ])('%s is refused, and nothing of it is told', async (_what, text, said) => {
    const heard = await outcome(text)
    expect(heard).toContain(said)
    expect(heard.length).toBeLessThan(100)
  })

  test('is one identity for one certificate, and another for another; its key is not printed', () => {
    const identity = (text: string) => mtls.identity?.({}, secretOf(text)) ?? expect.fail('it has one')
    expect(identity(own.pem).id).toBe(identity(`${own.key}${own.certificate}`).id)
    expect(identity(own.pem).id).not.toBe(identity(other.pem).id)
    expect(identity(own.pem).key()).toBe(own.key.trim())
    expect(JSON.stringify(identity(own.pem))).not.toContain('PRIVATE')
    const secret = secretOf(own.pem)
    expect(mtls.identity?.({}, secret)).toBe(mtls.identity?.({}, secret))
  })
})
