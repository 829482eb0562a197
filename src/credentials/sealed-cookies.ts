/**
 * Cookies on a host that a credential pins: what an origin sets in answer to our secret is itself a credential, so the
 * sandbox holds each one sealed, and the origin gets back what was sealed.
 *
 * Promises: a cookie that this origin did not set in this session, for this credential and by this name, does not go out;
 * nothing is kept here, however many there are; a sealed cookie is worth nothing anywhere else, and no `Domain` takes it there.
 */

import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto'
import { type Fields, foldName } from '../net/fields.ts'
import { parseSecret, type Secret } from './secret.ts'

/** What a cookie was won with, and where. */
export type CookieScope = { readonly session: string; readonly credential: string; readonly host: string }

type OpenedCookies = {
  /** Value of the Cookie field; null: none goes out. */
  readonly field: string | null
  /** What of it must not come back. */
  readonly secrets: readonly Secret[]
}

export type SealedCookies = {
  /** What the client gets in place of a Set-Cookie; null: nothing. */
  readonly seal: (setCookie: string, scope: CookieScope) => string | null
  /** Of all Cookie fields of a request. */
  readonly open: (fields: Fields, scope: CookieScope) => OpenedCookies
}

/** RFC 6265 §6.1 asks clients for 50 of a host. */
const cookiesMax = 50
const valueBytesMax = 8192
const nonceBytes = 12
const tagBytes = 16

const tokenText = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** `Domain` would hand it to other hosts, where it means nothing; what else there may be holds who knows what. */
const keptAttribute =
  /^(?:expires=[\w ,:+-]*|max-age=-?\d+|path=[!-:<-~]*|samesite=\w+|priority=\w+|secure|httponly|partitioned)$/i

export function createSealedCookies(key: Buffer): SealedCookies {
  // The nonce is made of what is sealed, so no two texts share one, and one cookie always looks the same.
  const [sealKey, nonceKey] = ['seal', 'nonce'].map((use) => createHmac('sha256', key).update(use).digest())
  if (sealKey === undefined || nonceKey === undefined) throw new Error('two keys were made')

  const seal = (text: string, about: Buffer): string => {
    const nonce = createHmac('sha256', nonceKey).update(about).update(text, 'latin1').digest().subarray(0, nonceBytes)
    const cipher = createCipheriv('aes-256-gcm', sealKey, nonce, { authTagLength: tagBytes }).setAAD(about)
    return Buffer.concat([nonce, cipher.update(text, 'latin1'), cipher.final(), cipher.getAuthTag()]).toString(
      'base64url',
    )
  }
  const open = (sealed: string, about: Buffer): string | null => {
    const bytes = Buffer.from(sealed, 'base64url')
    if (bytes.length < nonceBytes + tagBytes || bytes.toString('base64url') !== sealed) return null
    const decipher = createDecipheriv('aes-256-gcm', sealKey, bytes.subarray(0, nonceBytes), {
      authTagLength: tagBytes,
    })
    decipher.setAAD(about).setAuthTag(bytes.subarray(-tagBytes))
    const text = decipher.update(bytes.subarray(nonceBytes, -tagBytes), undefined, 'latin1')
    try {
      return text + decipher.final('latin1')
    } catch {
      return null
    }
  }

  return {
    seal: (setCookie, scope) => {
      const [pair = '', ...attributes] = setCookie.split(';').map(trimmed)
      const equals = pair.indexOf('=')
      const [name, value] = [trimmed(pair.slice(0, Math.max(equals, 0))), trimmed(pair.slice(equals + 1))]
      if (!tokenText.test(name) || value.length > valueBytesMax || !/^[\t -~\x80-\xff]*$/.test(value)) return null
      const kept = attributes.filter((attribute) => keptAttribute.test(attribute))
      return [`${name}=${seal(value, aboutOf(scope, name))}`, ...kept].join('; ')
    },
    open: (fields, scope) => {
      const pairs: string[] = []
      const secrets: Secret[] = []
      for (const [name, sealed] of cookiesIn(fields)) {
        const value = pairs.length < cookiesMax ? open(sealed, aboutOf(scope, name)) : null
        if (value === null) continue
        pairs.push(`${name}=${value}`)
        const secret = parseSecret(value.replace(/^"(.*)"$/, '$1'), { unsafeShortSecret: false })
        if (typeof secret !== 'string') secrets.push(secret)
      }
      return { field: pairs.length === 0 ? null : pairs.join('; '), secrets }
    },
  }
}

/** Of what RFC 6265 calls white space; a value may hold others. */
function trimmed(text: string): string {
  let [start, end] = [0, text.length]
  while (start < end && isSpace(text[start])) start++
  while (end > start && isSpace(text[end - 1])) end--
  return text.slice(start, end)
}

function isSpace(character: string | undefined): boolean {
  return character === ' ' || character === '\t'
}

function aboutOf({ session, credential, host }: CookieScope, name: string): Buffer {
  return Buffer.from(JSON.stringify([session, credential, host, name]))
}

function cookiesIn(fields: Fields): [name: string, value: string][] {
  const pairs: [string, string][] = []
  for (let i = 0; i < fields.length; i += 2) {
    if (foldName(fields[i] ?? '') !== 'cookie') continue
    for (const piece of (fields[i + 1] ?? '').split(';')) {
      const equals = piece.indexOf('=')
      if (equals > 0) pairs.push([trimmed(piece.slice(0, equals)), trimmed(piece.slice(equals + 1))])
    }
  }
  return pairs
}
