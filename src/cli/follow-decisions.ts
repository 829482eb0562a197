/**
 * Follows the decisions of a gateway.
 *
 * Promises: after a lost connection it goes on where it was, and no record is shown twice; what the gateway itself could
 * not send is said. A token that is no longer taken ends it: asking again would not help.
 */

import { setTimeout as wait } from 'node:timers/promises'
import type { ExchangeRecord } from '../exchange/record.ts'
import { type ControlClient, ControlRefusal } from './control-client.ts'
import { createEventParser } from './event-stream.ts'
import { pageMax, parseDecisions, parseRecordLine, queryOf, type Wanted } from './decision-query.ts'

export type FollowOptions = {
  readonly client: ControlClient
  readonly wanted: Wanted
  readonly limit: number
  readonly print: (record: ExchangeRecord) => void
  readonly say: (text: string) => void
  readonly signal?: AbortSignal
  readonly retryMs?: number
}

/** The stream has a sign of life every 15 seconds. */
const silenceMs = 60_000
const rememberedMax = 10_000

/** Ends only with the signal; the first connection has to succeed. */
export async function followDecisions(options: FollowOptions): Promise<number> {
  const { client, say, retryMs = 1000, signal } = options
  const isEnded = (): boolean => signal?.aborted === true
  const show = createShow(options)
  let isFirst = true
  while (!isEnded()) {
    try {
      await followOnce(options, show, () => (isFirst = false))
    } catch (error) {
      if (isEnded()) break
      if (isFirst || isFinal(error)) throw error
    }
    if (isEnded()) break
    say(`the stream of ${client.target.text} ended; connecting again\n`)
    await wait(retryMs, undefined, signal === undefined ? {} : { signal }).catch(() => undefined)
  }
  return 0
}

type Show = {
  readonly record: (record: ExchangeRecord) => void
  /** Those of the past, oldest first: at the first time the last `limit`, later all that were not shown. */
  readonly past: (records: readonly ExchangeRecord[]) => void
}

async function followOnce(
  { client, wanted, say, signal }: FollowOptions,
  show: Show,
  onOpen: () => void,
): Promise<void> {
  const silence = new AbortController()
  const timer = setTimeout(() => silence.abort(), silenceMs)
  const ends = signal === undefined ? silence.signal : AbortSignal.any([silence.signal, signal])
  try {
    // First the stream, then what was before it: in the other order what happens between is lost.
    const stream = await client.open(`/v1/decisions/stream?${queryOf(wanted)}`, ends)
    const past = await client.call('GET', `/v1/decisions?${queryOf(wanted, { limit: String(pageMax) })}`)
    onOpen()
    show.past(parseDecisions(past).toReversed())
    const parse = createEventParser(({ type, text }) => {
      if (type === 'missed') say(`the gateway left out records: ${text}\n`)
      const record = type === 'decision' ? parseRecordLine(text) : null
      if (record !== null) show.record(record)
    })
    stream.setEncoding('utf8')
    for await (const piece of stream as AsyncIterable<string>) {
      timer.refresh()
      parse(piece)
    }
  } finally {
    clearTimeout(timer)
  }
}

/** Shows each record once. */
function createShow({ limit, print }: FollowOptions): Show {
  const shown = new Set<string>()
  let isFirst = true
  const isNew = ({ event, decisionId }: ExchangeRecord): boolean => {
    const key = `${event} ${decisionId}`
    if (shown.has(key)) return false
    shown.add(key)
    const [oldest] = shown
    if (shown.size > rememberedMax && oldest !== undefined) shown.delete(oldest)
    return true
  }
  return {
    record: (record) => {
      if (isNew(record)) print(record)
    },
    past: (records) => {
      const fresh = records.filter(isNew)
      for (const record of isFirst ? fresh.slice(-limit) : fresh) print(record)
      isFirst = false
    },
  }
}

/** The gateway answered, and does not take the token. */
function isFinal(error: unknown): boolean {
  return error instanceof ControlRefusal && (error.status === 401 || error.status === 403)
}
