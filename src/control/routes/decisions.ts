/**
 * Decisions: the recent ones as a list, and the same live as server-sent events.
 *
 * Promises: a caller with labels sees only records that carry them; a reader that does not keep up costs a bounded
 * buffer and is told how many records it missed; every stream ends with the server.
 */

import type { ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import type { ExchangeRecord } from '../../exchange/record.ts'
import { callerOf } from '../caller.ts'
import { isVisible, type Labels } from '../ceiling.ts'
import type { ControlOptions } from '../control-options.ts'
import { problemOf, sendProblem } from '../problem.ts'
import { DecisionQuery, StreamQuery } from '../schemas.ts'

const looks = { config: { access: ['read', 'sessions'] } } as const

/** What may wait for one reader before records are left out. */
const backlogBytesMax = 256 * 1024

export function addDecisionRoutes(app: FastifyInstance, options: ControlOptions): void {
  app.get<{ Querystring: DecisionQuery }>(
    '/v1/decisions',
    { ...looks, schema: { querystring: DecisionQuery } },
    async (request, reply) => {
      const { limit = '100', ...query } = request.query
      if (query.since !== undefined && Number.isNaN(Date.parse(query.since))) {
        return sendProblem(reply, problemOf('invalid_request', 'since is no time there ever was'))
      }
      const visible = visibleTo(callerOf(request).labels)
      return { decisions: options.decisions({ ...query, limit: Number(limit), visible }) }
    },
  )

  const { heartbeatMs = 15_000, streamsMax = 64 } = options
  const streams = new Set<ServerResponse>()
  app.addHook('preClose', async () => {
    for (const stream of streams) stream.end()
  })
  app.get<{ Querystring: StreamQuery }>(
    '/v1/decisions/stream',
    { ...looks, schema: { querystring: StreamQuery } },
    async (request, reply) => {
      if (streams.size >= streamsMax) return sendProblem(reply, problemOf('too_many_streams', `${streamsMax} are`))
      const passes = passing(request.query, callerOf(request).labels)
      reply.hijack()
      const stream = reply.raw
      streams.add(stream)
      stream.writeHead(200, { ...textFields(reply.getHeaders()), 'content-type': 'text/event-stream; charset=utf-8' })
      const stop = streamRecords(stream, passes, options.subscribe, heartbeatMs)
      stream.once('close', () => {
        stop()
        streams.delete(stream)
      })
      return reply
    },
  )
}

type Passes = (record: ExchangeRecord) => boolean

function visibleTo(labels: Labels): Passes {
  return (record) => isVisible(labels, record.labels)
}

function passing(query: StreamQuery, labels: Labels): Passes {
  const isSeen = visibleTo(labels)
  return (record) =>
    (query.session === undefined || query.session === record.session) &&
    (query.outcome === undefined || query.outcome === record.outcome) &&
    (query.host === undefined || query.host === record.host) &&
    isSeen(record)
}

function streamRecords(
  stream: ServerResponse,
  passes: Passes,
  subscribe: ControlOptions['subscribe'],
  heartbeatMs: number,
): () => void {
  let missed = 0
  const write = (text: string): void => {
    if (!stream.writableEnded && !stream.destroyed) stream.write(text)
  }
  const tellMissed = (): void => {
    if (missed === 0 || stream.writableLength > backlogBytesMax) return
    write(`event: missed\ndata: {"count":${missed}}\n\n`)
    missed = 0
  }
  // Sent at once, so that the client knows the stream stands before anything happens.
  write(': open\n\n')
  const unsubscribe = subscribe((record) => {
    if (!passes(record)) return
    if (stream.writableLength > backlogBytesMax) {
      missed++
      return
    }
    tellMissed()
    // JSON has no raw line break, so a record is one `data` line whatever a sandbox put in its fields.
    write(`event: decision\nid: ${record.decisionId}\ndata: ${JSON.stringify(record)}\n\n`)
  })
  const heartbeat = setInterval(() => {
    tellMissed()
    if (stream.writableLength <= backlogBytesMax) write(': still here\n\n')
  }, heartbeatMs)
  return () => {
    unsubscribe()
    clearInterval(heartbeat)
  }
}

function textFields(fields: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, String(value)]))
}
