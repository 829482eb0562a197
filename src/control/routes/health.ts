/** Liveness and readiness, for probes: open, and telling no more than codes (decision 42). */

import type { FastifyInstance } from 'fastify'
import type { ControlOptions } from '../control-options.ts'

const open = { config: { access: 'open' }, method: ['GET', 'HEAD'] } as const

export function addHealthRoutes(app: FastifyInstance, options: Pick<ControlOptions, 'ready'>): void {
  app.route({ ...open, method: [...open.method], url: '/healthz', handler: async () => ({ status: 'alive' }) })
  app.route({
    ...open,
    method: [...open.method],
    url: '/readyz',
    handler: async (_request, reply) => {
      const { ready, problems } = options.ready()
      // Both must say so: a list of problems beside a yes is a bug, and a bug is not readiness.
      const enforcing = ready && problems.length === 0
      return reply.code(enforcing ? 200 : 503).send({ status: enforcing ? 'ready' : 'not_ready', problems })
    },
  })
}
