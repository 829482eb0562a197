/**
 * The control API: a door to sessions and policies, and a window on decisions. It never touches a proxied socket.
 *
 * Promises: no route runs before Host, Origin, content type, token and scope were judged, in this order, and a route that
 * says nothing of its access needs a token; whatever a client sends, it is answered with a problem and not with a fault.
 */

import type { AddressInfo } from 'node:net'
import fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { parseHost } from '../net/host.ts'
import { FailureBuckets } from '../sessions/failure-buckets.ts'
import { hasScope, identifyToken, valuesOf } from './auth.ts'
import type { ControlOptions } from './control-options.ts'
import { decideKnock, servedNames } from './door.ts'
import { type Problem, problemOf, sendProblem } from './problem.ts'
import { problemOfError, ProblemError } from './problem-of-error.ts'
import { addDecisionRoutes } from './routes/decisions.ts'
import { addHealthRoutes } from './routes/health.ts'
import { addMetricsRoute } from './routes/metrics.ts'
import { addOpenApiRoute } from './routes/openapi.ts'
import { addPolicyRoutes } from './routes/policies.ts'
import { addSessionDoorRoutes } from './routes/session-doors.ts'
import { addSessionRoutes } from './routes/sessions.ts'
import { parseStrictJson } from './strict-json.ts'
import './caller.ts'

export type ControlAddress = { readonly host: string; readonly port: number } | { readonly path: string }

export type ControlServer = {
  /** What it listens on, as `host:port` or a path; null before. */
  readonly address: () => string | null
  readonly listen: (address: ControlAddress) => Promise<string>
  readonly close: () => Promise<void>
}

/** Policies are the largest bodies there are. */
const bodyBytesMax = 1024 * 1024
const headBytesMax = 16 * 1024
const headTimeoutMs = 10_000
const requestTimeoutMs = 30_000
const connectionsMax = 1024

const tokenFailuresPerMinuteDefault = 60
/** Until one more may fail. */
const failureRetrySeconds = 1
const failingPeersMax = 10_000

const answerFields = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
} as const

export async function createControlServer(options: ControlOptions): Promise<ControlServer> {
  const served = new Set(servedNames(options.hosts))
  const app = buildApp(options)
  addGate(app, options, served)
  addErrors(app, options)
  addBodyParser(app)
  addHealthRoutes(app, options)
  addMetricsRoute(app, options)
  addOpenApiRoute(app)
  addSessionRoutes(app, options)
  addSessionDoorRoutes(app, options)
  addPolicyRoutes(app, options)
  addDecisionRoutes(app, options)
  await app.ready()
  app.server.maxConnections = connectionsMax
  return {
    address: () => addressText(app.server.address()),
    listen: async (address) => {
      if ('host' in address) for (const name of servedNames([address.host])) if (!isUnspecified(name)) served.add(name)
      await app.listen(address)
      return addressText(app.server.address()) ?? ''
    },
    close: () => app.close(),
  }
}

function buildApp(options: ControlOptions): FastifyInstance {
  return fastify({
    logger: false,
    bodyLimit: bodyBytesMax,
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    requestTimeout: requestTimeoutMs,
    routerOptions: { maxParamLength: 128 },
    http: { headersTimeout: headTimeoutMs, maxHeaderSize: headBytesMax },
    // Coercing and removing would take what was not said for what was meant.
    ajv: {
      customOptions: {
        allErrors: false,
        allowUnionTypes: true,
        coerceTypes: false,
        removeAdditional: false,
        useDefaults: false,
      },
    },
    frameworkErrors: (error, _request, reply) => {
      void sendProblem(reply, problemOfError(error, options.log))
    },
    clientErrorHandler: (error, socket) => {
      if (!socket.writable) {
        socket.destroy()
        return
      }
      const problem = problemOfClientError(error.code)
      const body = JSON.stringify(problem)
      socket.end(
        `HTTP/1.1 ${problem.status} ${problem.title}\r\nContent-Type: application/problem+json\r\n` +
          `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
      )
    },
  })
}

function addGate(app: FastifyInstance, options: ControlOptions, served: ReadonlySet<string>): void {
  const { tokenFailuresPerMinute: perMinute = tokenFailuresPerMinuteDefault } = options
  const failures = new FailureBuckets({ now: () => performance.now(), perMinute, peersMax: failingPeersMax })
  app.decorateRequest('caller', null)
  app.addHook('onRequest', (request, reply, next) => {
    reply.headers(answerFields)
    const problem = judgeCall(request, reply, { options, served, failures })
    if (problem === null) next()
    else sendProblem(reply, problem)
  })
}

type Gate = {
  readonly options: ControlOptions
  readonly served: ReadonlySet<string>
  readonly failures: FailureBuckets
}

function judgeCall(request: FastifyRequest, reply: FastifyReply, { options, served, failures }: Gate): Problem | null {
  const fields = request.raw.rawHeaders
  const localAddress = request.socket.localAddress ?? null
  const unwelcome = decideKnock(served, { method: request.method, fields, localAddress })
  if (unwelcome !== null) return unwelcome
  const { access } = request.routeOptions.config
  if (access === 'open') return null
  const token = identifyToken(options.tokens, fields)
  if (token === null) {
    // Who sends none has guessed nothing. A right token is taken all the same: its neighbours shut nobody out.
    const isWrong = valuesOf(fields, 'authorization').length > 0
    if (isWrong && !failures.spend(request.socket.remoteAddress ?? 'unix')) {
      reply.header('retry-after', String(failureRetrySeconds))
      return problemOf('too_many_failures', 'check the token, and send it no faster than this')
    }
    reply.header('www-authenticate', 'Bearer realm="sallyport control"')
    return problemOf('unauthenticated', 'send Authorization: Bearer and a control token')
  }
  // Paths that do not exist have no access of their own: whoever has a token may learn that.
  if (access !== undefined && !hasScope(token, access)) {
    return problemOf('scope_missing', `this call needs one of these scopes: ${['admin', ...access].join(', ')}`)
  }
  request.caller = token
  return null
}

function addErrors(app: FastifyInstance, options: ControlOptions): void {
  const routes: { readonly pattern: RegExp; readonly methods: readonly string[] }[] = []
  app.addHook('onRoute', ({ url, method }) => {
    const pattern = new RegExp(`^${url.replaceAll('.', String.raw`\.`).replaceAll(/:\w+/g, '[^/]+')}$`)
    routes.push({ pattern, methods: [method].flat() })
  })
  app.setErrorHandler<FastifyError>((error, _request, reply) => sendProblem(reply, problemOfError(error, options.log)))
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] ?? ''
    const methods = routes.filter(({ pattern }) => pattern.test(path)).flatMap((route) => route.methods)
    if (methods.length === 0)
      return sendProblem(reply, problemOf('not_found', 'see /v1/openapi.json for what there is'))
    reply.header('allow', methods.join(', '))
    return sendProblem(reply, problemOf('method_not_allowed', `this path takes ${methods.join(', ')}`))
  })
}

function addBodyParser(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (_request: FastifyRequest, body: Buffer) => {
      if (body.length === 0) return undefined
      const read = parseStrictJson(body)
      if (!read.ok) throw new ProblemError(problemOf('malformed_json', read.why))
      return read.value
    },
  )
}

function problemOfClientError(code: string): Problem {
  if (code === 'HPE_HEADER_OVERFLOW') return problemOf('head_too_large', `${headBytesMax} bytes are the most`)
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return problemOf('request_timeout', 'send the request in one go')
  return problemOf('malformed_request', 'this is not HTTP/1.1 as RFC 9112 has it')
}

function addressText(address: AddressInfo | string | null): string | null {
  if (address === null || typeof address === 'string') return address
  return `${parseHost(address.address)?.text ?? `[${address.address}]`}:${address.port}`
}

/** A browser takes `0.0.0.0` to loopback, so nobody who means us says it. */
function isUnspecified(name: string): boolean {
  return name === '0.0.0.0' || name === '::'
}
