/** Where sessions are kept, in the words of the file: in one shape, so that a mistake in one kind is not told of as one in the other. */

import { Type } from 'typebox'
import { nameText } from '../policy/policy-schema.ts'

const closed = { additionalProperties: false }
const Path = Type.String({ minLength: 1, maxLength: 4096 })
const Place = Type.Object({ env: Type.Optional(Type.String()), file: Type.Optional(Path) }, closed)

export const StoreSchema = Type.Unsafe<RedisWritten | 'file' | 'memory'>({
  type: ['object', 'string'],
  description: 'file, memory, or { redis: … } for many replicas.',
  properties: {
    redis: Type.Object(
      {
        url: Place,
        ca: Type.Optional(Type.Unsafe<string | null>({ ...Path, type: ['string', 'null'] })),
        prefix: Type.Optional(Type.String({ pattern: nameText })),
        grace: Type.Optional(
          Type.String({ maxLength: 32, description: 'How long known sessions go on without it; 30s.' }),
        ),
      },
      closed,
    ),
  },
  required: ['redis'],
  ...closed,
})

export const StateKeySchema = Type.Unsafe<WrittenPlace | null>({
  ...Place,
  type: ['object', 'null'],
  description: '32 bytes in hex or base64: the key of stored sessions, placeholders and tickets, of all replicas.',
})

export type SecretPlace = { readonly env: string } | { readonly file: string }
type WrittenPlace = { readonly env?: string; readonly file?: string }
type RedisWritten = {
  readonly redis: {
    readonly url: WrittenPlace
    readonly ca?: string | null
    readonly prefix?: string
    readonly grace?: string
  }
}
/** Where replicas meet. */
export type RedisConfig = {
  readonly url: SecretPlace
  /** PEM file of the roots it is verified by. */
  readonly ca: string | null
  readonly prefix: string
  readonly graceMs: number
}
