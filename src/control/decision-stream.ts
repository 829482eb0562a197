/**
 * One stream of decisions, as server-sent events.
 *
 * Promises: a reader that does not keep up costs a bounded buffer and is told how many records it missed, and one that takes
 * nothing at all is let go; one that comes back and says where it was hears what fell since, or that not all of it is known.
 */

import type { ServerResponse } from 'node:http'
import type { ExchangeRecord } from '../exchange/record.ts'
import type { ControlOptions, FallenDecision } from './control-options.ts'

export type DecisionStreamOptions = {
  readonly passes: (record: ExchangeRecord) => boolean
  /** The place of the last event the reader had (`Last-Event-ID`); null: it begins now. */
  readonly since: string | null
  readonly subscribe: ControlOptions['subscribe']
  readonly after: ControlOptions['decisionsAfter']
  readonly heartbeatMs: number
  /** How long a full backlog may stay as it is. */
  readonly stalledMs: number
}

export type DecisionStream = {
  /** Nothing more is written. */
  readonly stop: () => void
  readonly end: () => void
}

/** What may wait for one reader before records are left out. */
const backlogBytesMax = 256 * 1024

export function streamDecisions(response: ServerResponse, options: DecisionStreamOptions): DecisionStream {
  const { passes } = options
  let missed = 0
  let stalled = { bytes: 0, beats: 0 }
  const isFull = (): boolean => response.writableLength > backlogBytesMax
  const write = (text: string): void => {
    if (!response.writableEnded && !response.destroyed) response.write(text)
  }
  const tellMissed = (): void => {
    if (missed === 0 || isFull()) return
    write(missedEvent(missed))
    missed = 0
  }
  // Sent at once, so that the client knows the stream stands before anything happens.
  write(': open\n\n')
  if (options.since !== null) {
    const { fallen, complete } = options.after(options.since, passes, backlogBytesMax)
    if (!complete) write(missedEvent(null))
    for (const one of fallen) write(decisionEvent(one))
  }
  const unsubscribe = options.subscribe((one) => {
    if (!passes(one.record)) return
    if (isFull()) {
      missed++
      return
    }
    tellMissed()
    write(decisionEvent(one))
  })
  const heartbeat = setInterval(() => {
    const bytes = response.writableLength
    stalled = { bytes, beats: isFull() && bytes === stalled.bytes ? stalled.beats + 1 : 0 }
    // It is gone without a word, or takes next to nothing: the place is somebody else's.
    if (stalled.beats * options.heartbeatMs >= options.stalledMs) response.destroy()
    tellMissed()
    if (!isFull()) write(': still here\n\n')
  }, options.heartbeatMs)
  return {
    stop: () => {
      unsubscribe()
      clearInterval(heartbeat)
    },
    end: () => void response.end(),
  }
}

/** JSON has no raw line break, so a record is one `data` line whatever a sandbox put in its fields. */
function decisionEvent({ line, place }: FallenDecision): string {
  return `event: decision\nid: ${place}\ndata: ${line}\n\n`
}

/** Null: nobody knows how many. */
function missedEvent(count: number | null): string {
  return `event: missed\ndata: ${JSON.stringify({ count })}\n\n`
}
