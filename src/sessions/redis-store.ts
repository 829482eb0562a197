/**
 * Sessions in Redis or Valkey: for many replicas, any of which serves any session.
 *
 * Promises: what takes longer than two seconds is an error and never waited for; a connection that was lost is made again
 * for ever; the password is in no message.
 */

import { createHash, randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { createClient } from '@redis/client'
import type { SessionStore, StoreOptions } from './session-store.ts'
import { type Link, Replica } from './replica.ts'

const commandMs = 2000
/** For the first connection: what is not there by then is an error of the start. */
const startMs = 10_000
/** A connection on which nothing comes for so long is dead: something is asked for all the time. */
const silentMs = 4000
const retryMsMax = 1000
const rowsPerScan = 500

export function createRedisStore({ key, log, redis }: StoreOptions): SessionStore {
  if (redis === undefined) throw new Error('the redis store needs to know where its Redis is')
  const { client, subscriber, connected, connection } = connectTo(redis.url, redis.ca, log)
  const replica = new Replica({
    link: createLink(client, connected, connection),
    prefix: redis.prefix,
    key,
    name: `${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`,
    epoch: randomBytes(8).toString('hex'),
    graceMs: redis.graceMs,
    log,
  })
  // Word of a change only makes us ask earlier than we would; so does a connection that is there again.
  subscriber.on('ready', () => replica.wake())
  client.on('ready', () => replica.wake())
  const listening = subscriber
    .connect()
    .then(() => subscriber.subscribe(replica.channel, () => replica.wake()))
    .catch((error: unknown) => log(`the session store: no word of changes: ${textOf(error)}`))

  return {
    load: () => replica.load(),
    put: (session) => replica.put(session),
    remove: (id) => replica.remove(id),
    // What is spent is reserved, by all replicas of one amount.
    loadUsage: () => Promise.resolve({ rows: [], exact: true }),
    putUsage: () => Promise.resolve(),
    shared: {
      follow: (news) => replica.follow(news),
      laggards: (which) => replica.laggards(which),
      reserve: (reservation) => replica.reserve(reservation),
      state: () => replica.state,
    },
    close: async () => {
      await replica.close()
      client.destroy()
      subscriber.destroy()
      await listening
    },
  }
}

type Client = ReturnType<typeof clientFor>

function clientFor(url: string, ca: string | null, pingInterval: number | undefined) {
  return createClient({
    url,
    RESP: 2,
    // What cannot be sent now is refused now.
    disableOfflineQueue: true,
    socket: {
      connectTimeout: commandMs,
      socketTimeout: silentMs,
      reconnectStrategy: (retries) => Math.min(retryMsMax, 50 * 2 ** Math.min(retries, 5)),
      ...(url.startsWith('rediss:') ? { tls: true as const, ...(ca === null ? {} : { ca }) } : {}),
    },
    ...(pingInterval === undefined ? {} : { pingInterval }),
  })
}

function connectTo(url: string, ca: string | null, log: (message: string) => void) {
  const client = clientFor(url, ca, undefined)
  const subscriber = clientFor(url, ca, silentMs / 4)
  let connections = 0
  let said = ''
  const complain = (error: unknown): void => {
    // Each try fails in the same words.
    const text = textOf(error)
    if (text !== said) log(`the session store: ${text}`)
    said = text
  }
  client.on('error', complain)
  subscriber.on('error', complain)
  client.on('ready', () => {
    connections++
    said = ''
  })
  const connected = client.connect().then(
    () => null,
    (error: unknown) => textOf(error),
  )
  return { client, subscriber, connected, connection: () => connections }
}

function createLink(client: Client, connected: Promise<string | null>, connection: () => number): Link {
  const ready = within(connected, startMs)
  ready.catch(() => null)
  const shas = new Map<string, string>()
  const shaOf = (script: string): string => {
    const known = shas.get(script) ?? createHash('sha1').update(script).digest('hex')
    shas.set(script, known)
    return known
  }
  const send = async (script: string, keys: readonly string[], values: readonly string[]): Promise<unknown> => {
    const given = [`${keys.length}`, ...keys, ...values]
    try {
      return await client.sendCommand(['EVALSHA', shaOf(script), ...given])
    } catch (error) {
      if (!textOf(error).startsWith('NOSCRIPT')) throw error
      return client.sendCommand(['EVAL', script, ...given])
    }
  }
  return {
    connection,
    run: async (script, keys, values) => {
      await ready
      return within(send(script, keys, values))
    },
    async *scan(key) {
      await ready
      let cursor = '0'
      do {
        const page = await within(client.hScan(key, cursor, { COUNT: rowsPerScan }))
        for (const { field, value } of page.entries) yield [field, value] as const
        cursor = page.cursor
      } while (cursor !== '0')
    },
  }
}

async function within<Result>(deed: Promise<Result>, ms: number = commandMs): Promise<Result> {
  const { promise, reject } = Promise.withResolvers<never>()
  // After a pause of this process the answer may lie there unread: what comes in the next turn is not too late.
  const late = (): unknown => (timer = setTimeout(() => reject(new Error('no answer in time')), 20))
  let timer = setTimeout(late, ms)
  try {
    return await Promise.race([deed, promise])
  } finally {
    clearTimeout(timer)
  }
}

/** Of the client's own errors none names the URL. */
function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
