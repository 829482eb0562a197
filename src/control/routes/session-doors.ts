/** Doors of single sessions over HTTP: opened and closed while they live. */

import type { FastifyInstance } from 'fastify'
import type { BookedSession } from '../../sessions/booked-session.ts'
import { callerOf } from '../caller.ts'
import { isVisible } from '../ceiling.ts'
import type { ControlOptions } from '../control-options.ts'
import { problemOf, sendProblem } from '../problem.ts'
import { OpenDoor } from '../schemas.ts'

type One = { Params: { id: string } }

const makes = { config: { access: ['sessions'] } } as const
const noSuch = problemOf('session_not_found', 'there is none of this id that this token may see')

export function addSessionDoorRoutes(app: FastifyInstance, options: ControlOptions): void {
  const find = (id: string, labels: Parameters<typeof isVisible>[0]): BookedSession | null => {
    const session = options.sessions.get(id)
    return session !== undefined && isVisible(labels, session.current.labels) ? session : null
  }
  app.post<One & { Body: OpenDoor }>(
    '/v1/sessions/:id/listener',
    { ...makes, schema: { body: OpenDoor } },
    async (request, reply) => {
      const session = find(request.params.id, callerOf(request).labels)
      if (session === null || options.sessions.isExpired(session)) return sendProblem(reply, noSuch)
      const opened = await options.doors.open(session, request.body.kind)
      if (typeof opened !== 'string') return sendProblem(reply, problemOf('session_conflict', opened.detail))
      const proxyUrl = opened.startsWith('unix:') ? null : `http://${opened}`
      return reply.code(201).send({ address: opened, proxyUrl })
    },
  )
  app.delete<One>('/v1/sessions/:id/listener', makes, async (request, reply) => {
    const session = find(request.params.id, callerOf(request).labels)
    if (session === null) return sendProblem(reply, noSuch)
    return (await options.doors.close(session.id))
      ? reply.code(204).send()
      : sendProblem(reply, problemOf('session_conflict', 'the session has no listener of its own'))
  })
}
