/**
 * `upstream.proxy`: the proxy that the gateway itself goes out through, from text to values.
 *
 * Promises: its password is never in the file; loopback is never asked of it, because it would be the parent's own there;
 * nothing of the environment makes one.
 */

import { Type } from 'typebox'
import { sealSource, type SecretReference } from '../credentials/secret-source.ts'
import { envSource } from '../credentials/sources/env.ts'
import { fileSource } from '../credentials/sources/file.ts'
import { type Authority, parseHostField, type Scheme } from '../net/authority.ts'
import { type Cidr, parseCidr, parseIp } from '../net/ip.ts'
import { type DomainPattern, parseDomainPattern } from '../policy/domain-pattern.ts'
import type { IssueList } from '../policy/issue.ts'
import { isRecord } from '../policy/schema-issues.ts'

export type ParentConfig = {
  readonly scheme: Scheme
  readonly authority: Authority
  readonly login: { readonly user: string; readonly secret: SecretReference } | null
  readonly connectBy: 'address' | 'name'
  /** What is reached without it. */
  readonly except: { readonly names: readonly DomainPattern[]; readonly blocks: readonly Cidr[] }
}

const closed = { additionalProperties: false }

type Written = {
  readonly address: string
  readonly user?: string
  readonly secret?: { readonly env?: string; readonly file?: string }
  readonly connectBy?: 'address' | 'name'
  readonly except?: readonly string[]
}

export const ParentShape = Type.Unsafe<Written | string | null>({
  type: ['object', 'string', 'null'],
  description: 'The proxy that the gateway itself goes out through; a text is its address.',
  properties: {
    address: Type.String({ maxLength: 300, description: 'http://proxy.corp.example:3128, or https://' }),
    user: Type.String({ minLength: 1, maxLength: 256, description: 'Of Basic; its password is the secret.' }),
    secret: Type.Object({ env: Type.Optional(Type.String()), file: Type.Optional(Type.String()) }, closed),
    connectBy: Type.Enum(['address', 'name'], { default: 'address' }),
    except: Type.Array(Type.String({ maxLength: 300 }), {
      maxItems: 1000,
      description: 'Hosts as policies write them and blocks of addresses: what is reached without it.',
    }),
  },
  required: ['address'],
  ...closed,
})

const at = ['upstream', 'proxy']
const loopback = ['127.0.0.0/8', '::1/128'].flatMap((text) => parseCidr(text) ?? [])
const sources = [sealSource(envSource), sealSource(fileSource)]

/** Null where there is none, or something is wrong with it. */
export function parseParent(written: unknown, issues: IssueList): ParentConfig | null {
  // A text that is none is not shown: passwords are often written within.
  if (typeof written === 'string') return parseParent({ address: written }, issues)
  if (!isRecord(written)) return null
  const place = parseAddress(written['address'], issues)
  const login = parseLogin(written, issues)
  const except = parseExcept(written['except'], issues)
  if (place === null || login === 'wrong') return null
  return { ...place, login, connectBy: written['connectBy'] === 'name' ? 'name' : 'address', except }
}

/** What is right, and still worth a word. */
export function parentWarnings(parent: ParentConfig | null): string[] {
  const warnings: string[] = []
  if (parent?.connectBy === 'name')
    warnings.push(
      'upstream.proxy.connectBy: the parent resolves names again: what it dials need not be an address that was judged here',
    )
  if (parent !== null && parent.login !== null && parent.scheme === 'http')
    warnings.push('upstream.proxy.address: its password goes over the network without TLS')
  return warnings
}

function parseAddress(written: unknown, issues: IssueList): Pick<ParentConfig, 'authority' | 'scheme'> | null {
  if (typeof written !== 'string') return null
  const [, scheme, rest = ''] = /^(https?):\/\/([^/?#@]*)\/?$/.exec(written) ?? []
  const authority = scheme === 'http' || scheme === 'https' ? parseHostField(rest, scheme) : null
  if (authority !== null && (scheme === 'http' || scheme === 'https')) return { scheme, authority }
  // Not shown: whoever writes a user here writes the password too.
  issues.add(
    [...at, 'address'],
    'is no address of a proxy',
    'write scheme, host and port, as in http://proxy.corp.example:3128; credentials go to "user:" and "secret:"',
  )
  return null
}

function parseLogin(written: Readonly<Record<string, unknown>>, issues: IssueList): ParentConfig['login'] | 'wrong' {
  const { user, secret } = { user: written['user'], secret: written['secret'] }
  if (user === undefined && secret === undefined) return null
  // RFC 7617 §2: a colon would end it.
  if (typeof user !== 'string' || !/^[!-9;-~]+$/.test(user)) {
    issues.add([...at, 'user'], 'is no user of Basic', 'write printable ASCII without a colon')
    return 'wrong'
  }
  const [source, second] = isRecord(secret) ? sources.filter(({ key }) => Object.hasOwn(secret, key)) : []
  const parsed = source === undefined || second !== undefined ? null : source.parse(secret)
  if (parsed?.kind === 'parsed') return { user, secret: parsed.spec }
  issues.add(
    [...at, 'secret'],
    'does not say where the password comes from',
    'write { env: NAME } or { file: /absolute/path }',
  )
  return 'wrong'
}

function parseExcept(written: unknown, issues: IssueList): ParentConfig['except'] {
  const names: DomainPattern[] = []
  const blocks: Cidr[] = [...loopback]
  for (const [index, text] of (Array.isArray(written) ? written : []).entries()) {
    if (typeof text !== 'string') continue
    const block = parseCidr(text)
    const name = block === null && parseIp(text) === null ? parseDomainPattern(text) : 'is an address'
    if (block !== null) blocks.push(block)
    else if (typeof name !== 'string' && name.kind !== 'any') names.push(name)
    else
      issues.add(
        [...at, 'except', index],
        `${JSON.stringify(text)} is neither a host nor a block of addresses`,
        'write git.corp.example, **.corp.example or 10.0.0.0/8',
      )
  }
  return { names, blocks }
}
