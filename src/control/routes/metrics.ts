/** Metrics, as telemetry words them. */

import type { FastifyInstance } from 'fastify'
import type { ControlOptions } from '../control-options.ts'

export function addMetricsRoute(app: FastifyInstance, options: Pick<ControlOptions, 'metricsText'>): void {
  app.get('/metrics', { config: { access: ['metrics'] } }, async (_request, reply) => {
    const { contentType, text } = await options.metricsText()
    return reply.type(contentType).send(text)
  })
}
