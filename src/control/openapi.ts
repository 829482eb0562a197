/** The OpenAPI 3.1 description, composed of the same schemas that validate. */

import type { TSchema } from 'typebox'
import { Type } from 'typebox'
import * as schemas from './schemas.ts'
import { problems } from './problem.ts'

type Answer = { readonly status: number; readonly says: string; readonly body?: TSchema; readonly type?: string }
type Call = {
  readonly id: string
  readonly summary: string
  readonly scopes: readonly string[]
  readonly path?: readonly string[]
  readonly query?: { readonly properties: Readonly<Record<string, TSchema>> }
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: TSchema
  readonly answer: Answer
}

const ref = (name: string): TSchema => Type.Unsafe({ $ref: `#/components/schemas/${name}` })
const listOf = (key: string, item: TSchema): TSchema => Type.Object({ [key]: Type.Array(item) })
const Decision = Type.Object({}, { description: 'One exchange, as in the audit log.' })
const Ready = Type.Object({ status: Type.String(), problems: Type.Array(Type.String()) })
const Verdict = Type.Object({ verdict: Type.String() })
const looks = ['read', 'sessions']
const makes = ['sessions']

const calls: Readonly<Record<string, Readonly<Record<string, Call>>>> = {
  '/v1/sessions': {
    post: {
      id: 'createSession',
      summary: 'Make a session. Its token is shown this once.',
      scopes: makes,
      headers: {
        'Idempotency-Key': 'A repeated call with the same key gets the same session while its token is unused.',
      },
      body: ref('CreateSession'),
      answer: { status: 201, says: 'Made.', body: ref('CreatedSession') },
    },
    get: {
      id: 'listSessions',
      summary: 'The sessions this token may see, oldest first.',
      scopes: looks,
      query: schemas.SessionQuery,
      answer: { status: 200, says: 'A page; `next` is the cursor of the one after it.', body: ref('SessionPage') },
    },
  },
  '/v1/sessions/{id}': {
    get: {
      id: 'showSession',
      summary: 'One session with its counters.',
      scopes: looks,
      path: ['id'],
      answer: { status: 200, says: 'The session.', body: ref('Session') },
    },
    patch: {
      id: 'changeSession',
      summary: 'Change a session, effective at once; `ttlSeconds` counts from now.',
      scopes: makes,
      path: ['id'],
      body: ref('PatchSession'),
      answer: { status: 200, says: 'Changed.', body: ref('Session') },
    },
    delete: {
      id: 'endSession',
      summary: 'End a session.',
      scopes: makes,
      path: ['id'],
      answer: { status: 204, says: 'Its last connection is cut.' },
    },
  },
  '/v1/sessions/{id}/token': {
    post: {
      id: 'rotateToken',
      summary: 'A new token, shown this once; the old one proves nothing any more.',
      scopes: makes,
      path: ['id'],
      answer: { status: 201, says: 'The new token.', body: ref('NewToken') },
    },
  },
  '/v1/decisions': {
    get: {
      id: 'listDecisions',
      summary: 'Recent decisions, newest first.',
      scopes: looks,
      query: schemas.DecisionQuery,
      answer: { status: 200, says: 'The decisions.', body: listOf('decisions', Decision) },
    },
  },
  '/v1/decisions/stream': {
    get: {
      id: 'streamDecisions',
      summary: 'Decisions as they fall: events `decision`, and `missed` where the reader was too slow.',
      scopes: looks,
      query: schemas.StreamQuery,
      answer: { status: 200, says: 'A stream without end.', body: Type.String(), type: 'text/event-stream' },
    },
  },
  '/v1/policies': {
    get: {
      id: 'listPolicies',
      summary: 'The policies this token may use.',
      scopes: looks,
      answer: { status: 200, says: 'The policies.', body: listOf('policies', ref('Policy')) },
    },
  },
  '/v1/policies/{name}': {
    get: {
      id: 'showPolicy',
      summary: 'One policy.',
      scopes: looks,
      path: ['name'],
      answer: { status: 200, says: 'The policy.', body: ref('Policy') },
    },
    put: {
      id: 'tryPolicy',
      summary: 'With `dryRun=true`: whether the policy would load. Without it a 405: policies come from files.',
      scopes: looks,
      path: ['name'],
      query: schemas.PutPolicyQuery,
      body: ref('PolicyBody'),
      answer: { status: 200, says: 'It would load.', body: ref('Policy') },
    },
  },
  '/v1/policies/explain': {
    post: {
      id: 'explain',
      summary: 'What would be decided of a request, and why.',
      scopes: looks,
      body: ref('Explain'),
      answer: { status: 200, says: 'The verdict.', body: Verdict },
    },
  },
  '/metrics': {
    get: {
      id: 'metrics',
      summary: 'Prometheus metrics.',
      scopes: ['metrics'],
      answer: { status: 200, says: 'The exposition text.', body: Type.String(), type: 'text/plain' },
    },
  },
  '/healthz': {
    get: { id: 'alive', summary: 'The process answers.', scopes: [], answer: { status: 200, says: 'Alive.' } },
  },
  '/readyz': {
    get: {
      id: 'ready',
      summary: '200 only while the gateway enforces; 503 with the codes of what is wrong otherwise.',
      scopes: [],
      answer: { status: 200, says: 'Enforcing.', body: Ready },
    },
  },
  '/v1/openapi.json': {
    get: {
      id: 'describe',
      summary: 'This description.',
      scopes: ['metrics', 'read', 'sessions'],
      answer: { status: 200, says: 'OpenAPI 3.1.', body: Type.Object({}) },
    },
  },
}

export function openApiDocument(): Readonly<Record<string, unknown>> {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Sallyport control API',
      version: '1',
      description: `Errors are application/problem+json (RFC 9457); \`code\` is one of: ${Object.keys(problems).join(', ')}.`,
    },
    paths: Object.fromEntries(
      Object.entries(calls).map(([path, methods]) => [
        path,
        Object.fromEntries(Object.entries(methods).map(([method, call]) => [method, operationOf(call)])),
      ]),
    ),
    components: {
      securitySchemes: { controlToken: { type: 'http', scheme: 'bearer' } },
      responses: {
        Problem: { description: 'Refused.', content: { 'application/problem+json': { schema: ref('Problem') } } },
      },
      schemas: {
        CreateSession: schemas.CreateSession,
        CreatedSession: schemas.CreatedSession,
        Explain: schemas.Explain,
        NewToken: schemas.NewToken,
        PatchSession: schemas.PatchSession,
        Policy: schemas.PolicyView,
        PolicyBody: schemas.PolicyBody,
        Problem: schemas.ProblemView,
        Session: schemas.SessionView,
        SessionPage: schemas.SessionPage,
      },
    },
  }
}

function operationOf(call: Call): Readonly<Record<string, unknown>> {
  const named = (place: string, name: string, required: boolean, schema: TSchema, description = ''): object => ({
    name,
    in: place,
    required,
    schema,
    ...(description === '' ? {} : { description }),
  })
  const { status, says, body, type = 'application/json' } = call.answer
  return {
    operationId: call.id,
    summary: call.summary,
    description: call.scopes.length === 0 ? 'No token is needed.' : `Scopes: ${['admin', ...call.scopes].join(', ')}.`,
    security: call.scopes.length === 0 ? [] : [{ controlToken: [] }],
    parameters: [
      ...(call.path ?? []).map((name) => named('path', name, true, Type.String())),
      ...Object.entries(call.query?.properties ?? {}).map(([name, schema]) => named('query', name, false, schema)),
      ...Object.entries(call.headers ?? {}).map(([name, says]) => named('header', name, false, Type.String(), says)),
    ],
    ...(call.body === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: call.body } } } }),
    responses: {
      [status]: { description: says, ...(body === undefined ? {} : { content: { [type]: { schema: body } } }) },
      default: { $ref: '#/components/responses/Problem' },
    },
  }
}
