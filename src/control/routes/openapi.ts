/** The description of this API, for tools. */

import type { FastifyInstance } from 'fastify'
import { openApiDocument } from '../openapi.ts'

export function addOpenApiRoute(app: FastifyInstance): void {
  const text = JSON.stringify(openApiDocument())
  app.get('/v1/openapi.json', { config: { access: ['metrics', 'read', 'sessions'] } }, async (_request, reply) =>
    reply.type('application/json').send(text),
  )
}
