/**
 * What replicas have in common: the key of their state, and where they meet.
 *
 * Promises: a key or URL that is not there, or is none, is an error at start that shows nothing of it.
 */

import { hkdfSync, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Config } from '../config/config-schema.ts'
import type { SecretPlace } from '../config/store-schema.ts'
import { type GatewayWorld, StartError } from '../gateway.ts'
import { type Authority, parseAuthority } from '../net/authority.ts'
import type { RedisPlace } from '../sessions/session-store.ts'
import { deriveKey, loadStateKey, parseStateKey } from '../sessions/state-key.ts'

export type ReplicaParts = {
  readonly stateKey: Buffer
  /** Null: each process has tickets of its own. */
  readonly ticketKeys: Buffer | null
  /** Null: there are no other replicas. */
  readonly redis: RedisPlace | null
  /** Where it is, so that no sandbox reaches it. */
  readonly redisAuthority: Authority | null
}

const ticketKeyBytes = 48

export async function loadReplicaParts(config: Config, world: GatewayWorld): Promise<ReplicaParts> {
  const { store } = config.sessions
  const stateKey =
    config.stateKey === null
      ? loadStateKey(config.stateDirectory, randomBytes)
      : await readStateKey(config.stateKey, world)
  const ticketKeys = config.stateKey === null ? null : ticketKeysOf(stateKey)
  if (typeof store === 'string') return { stateKey, ticketKeys, redis: null, redisAuthority: null }
  const url = (await readPlace(store.url, 'sessions.store.redis.url', world)).trim()
  const redisAuthority = parseRedisUrl(url)
  const ca = store.ca === null ? null : await readText(store.ca, 'sessions.store.redis.ca')
  const { prefix, graceMs } = store
  return { stateKey, ticketKeys, redis: { url, ca, prefix, graceMs }, redisAuthority }
}

/** The one that is configured. */
export async function readStateKey(place: SecretPlace, world: Pick<GatewayWorld, 'variable'>): Promise<Buffer> {
  const key = parseStateKey(await readPlace(place, 'stateKey', world))
  if (key === null) throw new StartError('stateKey: is no key: 64 hex digits, or 32 bytes in base64')
  return key
}

function ticketKeysOf(stateKey: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', deriveKey(stateKey, 'tickets'), '', 'tickets', ticketKeyBytes))
}

function parseRedisUrl(text: string): Authority {
  const url = URL.parse(text)
  const isRedis = url !== null && (url.protocol === 'redis:' || url.protocol === 'rediss:')
  const authority = isRedis ? parseAuthority(`${url.hostname}:${url.port === '' ? '6379' : url.port}`) : null
  if (authority === null) throw new StartError('sessions.store.redis.url: is no redis: or rediss: URL')
  return authority
}

async function readPlace(place: SecretPlace, setting: string, world: Pick<GatewayWorld, 'variable'>): Promise<string> {
  if ('file' in place) return readText(place.file, setting)
  const text = world.variable(place.env)
  if (text === undefined) throw new StartError(`${setting}: ${place.env} is not set`)
  return text
}

async function readText(file: string, setting: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch {
    throw new StartError(`${setting}: ${file} cannot be read`)
  }
}
