/**
 * Decisions: the recent ones as a list, and the same live as server-sent events.
 *
 * Promises: a caller with labels sees only records that carry them; no caller takes all the streams there may be; every
 * stream ends with the server.
 */

import type { FastifyInstance } from 'fastify'
import type { ExchangeRecord } from '../../exchange/record.ts'
import { callerOf } from '../caller.ts'
import { isVisible, type Labels } from '../ceiling.ts'
import type { ControlOptions } from '../control-options.ts'
import { type DecisionStream, streamDecisions } from '../decision-stream.ts'
import { problemOf, sendProblem } from '../problem.ts'
import { DecisionQuery, StreamQuery } from '../schemas.ts'

const looks = { config: { access: ['read', 'sessions'] } } as const

export function addDecisionRoutes(app: FastifyInstance, options: ControlOptions): void {
  app.get<{ Querystring: DecisionQuery }>(
    '/v1/decisions',
    { ...looks, schema: { querystring: DecisionQuery } },
    async (request, reply) => {
      const { limit = '100', ...query } = request.query
      if (query.since !== undefined && Number.isNaN(Date.parse(query.since))) {
        return sendProblem(reply, problemOf('invalid_request', 'since is no time there ever was'))
      }
      const { labels } = callerOf(request)
      return { decisions: options.decisions({ ...query, limit: Number(limit), visible: visibleTo(labels), labels }) }
    },
  )

  const { heartbeatMs = 15_000, streamsMax = 64, streamsPerTokenMax = 16, streamStalledMs = 60_000 } = options
  /** Each with the token that opened it. */
  const streams = new Map<DecisionStream, string>()
  app.addHook('preClose', async () => {
    for (const stream of streams.keys()) stream.end()
  })
  app.get<{ Querystring: StreamQuery }>(
    '/v1/decisions/stream',
    { ...looks, schema: { querystring: StreamQuery } },
    async (request, reply) => {
      const { name, labels } = callerOf(request)
      const own = [...streams.values()].filter((owner) => owner === name).length
      if (streams.size >= streamsMax || own >= streamsPerTokenMax) {
        const says = `${streamsMax} may be open, ${streamsPerTokenMax} of one token`
        return sendProblem(reply, problemOf('too_many_streams', says))
      }
      const place = request.headers['last-event-id']
      const head = textFields(reply.getHeaders())
      reply.hijack()
      const { raw } = reply
      raw.writeHead(200, { ...head, 'content-type': 'text/event-stream; charset=utf-8' })
      const stream = streamDecisions(raw, {
        passes: passing(request.query, labels),
        since: typeof place === 'string' && place !== '' ? place : null,
        subscribe: options.subscribe,
        after: options.decisionsAfter,
        heartbeatMs,
        stalledMs: streamStalledMs,
      })
      streams.set(stream, name)
      raw.once('close', () => {
        stream.stop()
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

function textFields(fields: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, String(value)]))
}
