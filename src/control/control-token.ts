/**
 * Control tokens: who may call the control API, for what, and under which ceiling. Pure.
 *
 * Promises: only the SHA-256 of a secret is kept; a ceiling with a missing list allows nothing of that kind, and a token
 * that makes sessions, or sees those with its labels only, without being admin has a ceiling even where none is written: the
 * empty one.
 */

import { createHash } from 'node:crypto'
import { type Static, Type } from 'typebox'
import { type Cidr, parseCidr } from '../net/ip.ts'
import type { Ceiling, Labels } from './ceiling.ts'

const closed = { additionalProperties: false } as const
const Name = Type.String({ pattern: '^[a-z0-9][a-z0-9_.-]{0,63}$' })

export const LabelsSchema = Type.Record(
  Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9_./-]{0,62}$' }),
  Type.String({ pattern: '^[ -~]{0,128}$' }),
  { ...closed, maxProperties: 32, description: 'At most 32; printable ASCII.' },
)

const CeilingSpec = Type.Object(
  {
    policies: Type.Optional(
      Type.Array(Name, { description: 'Policies by name; `inline` allows policies given in the call.' }),
    ),
    credentials: Type.Optional(Type.Array(Name)),
    addresses: Type.Optional(Type.Array(Type.String())),
    sources: Type.Optional(Type.Array(Type.String())),
    modes: Type.Optional(Type.Array(Type.Union([Type.Literal('audit'), Type.Literal('enforce')]))),
    extends: Type.Optional(Type.Array(Name, { description: 'What an inline policy may extend, beside `policies`.' })),
  },
  { ...closed, description: 'What sessions of this token may use. A list that is missing allows nothing.' },
)

const ScopeSchema = Type.Union([
  Type.Literal('admin'),
  Type.Literal('metrics'),
  Type.Literal('read'),
  Type.Literal('sessions'),
])

export const ControlTokenSpec = Type.Object(
  {
    name: Name,
    scopes: Type.Array(ScopeSchema, { minItems: 1, uniqueItems: true }),
    secret: Type.Union([
      Type.Object({ env: Type.String({ minLength: 1 }) }, closed),
      Type.Object({ file: Type.String({ minLength: 1 }) }, closed),
    ]),
    labels: Type.Optional(LabelsSchema),
    ceiling: Type.Optional(CeilingSpec),
  },
  closed,
)

export type Scope = Static<typeof ScopeSchema>
export type ControlTokenSpec = Static<typeof ControlTokenSpec>

export type ControlToken = {
  readonly name: string
  readonly scopes: ReadonlySet<Scope>
  readonly secretHash: Buffer
  readonly labels: Labels
  readonly ceiling: Ceiling | null
}

export type ControlTokenIssue = { readonly path: string; readonly message: string; readonly fix: string }

/** Short secrets can be guessed over the network; ours are 64 hexadecimal digits. */
const secretCharactersMin = 16

export function hashControlSecret(secret: string): Buffer {
  return createHash('sha256').update(secret, 'utf8').digest()
}

/** A spec that fits its schema and the secret its source gave, to the token; or all that is wrong with it. */
export function parseControlToken(spec: ControlTokenSpec, secret: string): ControlToken | ControlTokenIssue[] {
  const issues: ControlTokenIssue[] = []
  const addresses = parseBlocks('addresses', spec.ceiling?.addresses ?? [], issues)
  const sources = parseBlocks('sources', spec.ceiling?.sources ?? [], issues)
  if (secret.length < secretCharactersMin || !/^[!-~]+$/.test(secret)) {
    issues.push({
      path: '/secret',
      message: `gives fewer than ${secretCharactersMin} characters, or others than visible ASCII`,
      fix: 'use 32 random bytes in hexadecimal',
    })
  }
  if (issues.length > 0) return issues
  const scopes: ReadonlySet<Scope> = new Set(spec.scopes)
  const labels = spec.labels ?? {}
  const isOfTeam = scopes.has('sessions') || Object.keys(labels).length > 0
  const bounded = spec.ceiling !== undefined || (isOfTeam && !scopes.has('admin'))
  const ceiling: Ceiling = {
    policies: new Set(spec.ceiling?.policies),
    credentials: new Set(spec.ceiling?.credentials),
    addresses,
    sources,
    modes: new Set(spec.ceiling?.modes),
    extends: new Set(spec.ceiling?.extends),
  }
  return {
    name: spec.name,
    scopes,
    secretHash: hashControlSecret(secret),
    labels,
    ceiling: bounded ? ceiling : null,
  }
}

function parseBlocks(key: 'addresses' | 'sources', written: readonly string[], issues: ControlTokenIssue[]): Cidr[] {
  const blocks: Cidr[] = []
  for (const [index, text] of written.entries()) {
    const block = parseCidr(text)
    if (block !== null) blocks.push(block)
    else {
      issues.push({
        path: `/ceiling/${key}/${index}`,
        message: `${JSON.stringify(text)} is not a block of addresses`,
        fix: 'write the prefix, as in 10.0.0.0/8, with no bit set beyond it',
      })
    }
  }
  return blocks
}
