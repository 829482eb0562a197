/**
 * Where sessions are kept, and what replicas must have in common. Reads nothing.
 *
 * Promises: replicas that would each sign by a CA of their own, or could not read each other's sessions, do not load
 * (decision 45).
 */

import type { IssueList } from '../policy/issue.ts'
import { parseDurationMs } from '../policy/parse-limits.ts'
import { isRecord } from '../policy/schema-issues.ts'
import type { Config, ConfigShape } from './config-schema.ts'
import type { RedisConfig, SecretPlace } from './store-schema.ts'

type Written = Readonly<Record<string, unknown>>

const graceDefault = '30s'
const graceMsMin = 1000
const graceMsMax = 3_600_000
const places = 'write { env: NAME } or { file: PATH }'

export function checkStore(config: Written, issues: IssueList): void {
  if (isRecord(config['stateKey']) && !saysPlace(config['stateKey']))
    issues.add(['stateKey'], 'does not say where the key comes from', places)
  const store = isRecord(config['sessions']) ? config['sessions']['store'] : undefined
  const at = ['sessions', 'store']
  if (typeof store === 'string' && store !== 'file' && store !== 'memory')
    issues.add(
      at,
      `${JSON.stringify(store)} is none of its values`,
      'write file, memory, or { redis: { url: { env: NAME } } }',
    )
  const redis = isRecord(store) ? store['redis'] : undefined
  if (!isRecord(redis)) return
  if (isRecord(redis['url']) && !saysPlace(redis['url']))
    issues.add([...at, 'redis', 'url'], 'does not say where the URL comes from: it may hold a password', places)
  const { grace } = { grace: redis['grace'] }
  if (typeof grace === 'string' && graceOf(grace) === null)
    issues.add([...at, 'redis', 'grace'], `${JSON.stringify(grace)} is no grace`, 'write 1s to 1h, as in 30s')
  if (config['ca'] === null)
    issues.add(
      ['ca'],
      'is null: each replica would sign by a CA of its own',
      'give all replicas the same certificate and key',
    )
  if (config['stateKey'] === null)
    issues.add(
      ['stateKey'],
      'is null: replicas could not read what each other stores',
      'give all replicas the same 32 bytes',
    )
}

/** What `checkStore` and the shape let pass. */
export function parseStore(
  written: NonNullable<NonNullable<ConfigShape['sessions']>['store']>,
  resolvePath: (path: string) => string,
): Config['sessions']['store'] {
  if (typeof written === 'string') return written
  const { url, ca, prefix, grace } = written.redis
  return {
    url: placeOf(url, resolvePath) ?? { env: '' },
    ca: ca === undefined || ca === null ? null : resolvePath(ca),
    prefix: prefix ?? 'sallyport',
    graceMs: graceOf(grace ?? graceDefault) ?? graceMsMin,
  } satisfies RedisConfig
}

export function placeOf(
  written: { readonly env?: string; readonly file?: string } | null,
  resolvePath: (path: string) => string,
): SecretPlace | null {
  if (written?.file !== undefined) return { file: resolvePath(written.file) }
  return written?.env === undefined ? null : { env: written.env }
}

function saysPlace(place: Written): boolean {
  return Object.keys(place).length === 1
}

function graceOf(text: string): number | null {
  const ms = parseDurationMs(text)
  return ms === null || ms < graceMsMin || ms > graceMsMax ? null : ms
}
