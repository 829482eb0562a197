/**
 * `secret: { file: /run/secrets/name }`: read again when it changes.
 *
 * Promises: no value is older than the last look, and looks are at most 250 ms apart while requests come; a file that is
 * swapped by rename or by symbolic link (as mounted secrets are) is noticed; one that is being written is not taken
 * half.
 */

import { constants, type BigIntStats } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { type Static, Type } from 'typebox'
import { kindKeys, parseKeys } from '../credential-kind.ts'
import { parseSecret, type Secret, secretBytesMax, type SecretRules } from '../secret.ts'
import type { SecretSourceKind } from '../secret-source.ts'

const lookMs = 250
/** Two writes within one tick of the file system's clock look like one: what is this young is read again. */
const settledMs = 2000

/** What the last look found; `since` is when a look first found this mark. */
type Seen = { readonly mark: string; readonly since: number; readonly secret: Secret | string }

const schema = kindKeys({
  file: Type.String({ pattern: '^/[^\\u0000]*$', maxLength: 4096, description: 'an absolute path' }),
})

export const fileSource: SecretSourceKind<Static<typeof schema>> = {
  key: 'file',
  schema,
  parse: (raw) => parseKeys(schema, raw),
  variables: () => [],
  files: ({ file }) => [file],
  open: ({ file: path }, rules, { now }) => {
    let seen: Seen | null = null
    let lookedAt = Number.NEGATIVE_INFINITY
    let looking: Promise<Seen> | null = null

    async function current(): Promise<Seen> {
      if (seen !== null && now() - lookedAt < lookMs) return seen
      // The value is as old as the beginning of the look.
      const began = now()
      looking ??= look(path, rules, seen, began).finally(() => (looking = null))
      seen = await looking
      lookedAt = Math.max(lookedAt, began)
      return seen
    }

    return {
      read: async () => {
        const { secret } = await current()
        return typeof secret === 'string' ? null : secret
      },
      problem: () => (typeof seen?.secret === 'string' ? `file ${path} ${seen.secret}` : null),
      close: () => (seen = null),
    }
  },
}

async function look(path: string, rules: SecretRules, seen: Seen | null, began: number): Promise<Seen> {
  try {
    const stats = await stat(path, { bigint: true })
    if (!stats.isFile()) return { mark: '', since: began, secret: 'is not a file' }
    const same = seen !== null && seen.mark === markOf(stats) ? seen : null
    if (same !== null && began - same.since > settledMs) return same
    const { mark, secret } = await readFile(path, rules)
    return { mark, since: same !== null && same.mark === mark ? same.since : began, secret }
  } catch (error) {
    return { mark: '', since: began, secret: `cannot be read (${codeOf(error)})` }
  }
}

async function readFile(path: string, rules: SecretRules): Promise<Omit<Seen, 'since'>> {
  // Non-blocking: what was a file a moment ago may be a pipe now, and opening a pipe waits for its writer.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const before = await file.stat({ bigint: true })
    if (!before.isFile()) return { mark: '', secret: 'is not a file' }
    const bytes = await readSome(file)
    const mark = markOf(await file.stat({ bigint: true }))
    return { mark, secret: markOf(before) === mark ? parseSecret(bytes, rules) : 'changed while it was read' }
  } finally {
    await file.close()
  }
}

/** At most one byte more than a secret may have. */
async function readSome(file: FileHandle): Promise<Buffer> {
  const buffer = Buffer.alloc(secretBytesMax + 1)
  let length = 0
  while (length < buffer.length) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return buffer.subarray(0, length)
}

function markOf({ ctimeNs, dev, ino, mtimeNs, size }: BigIntStats): string {
  return `${dev}.${ino}.${size}.${mtimeNs}.${ctimeNs}`
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown error'
}
