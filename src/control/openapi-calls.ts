/** Every call of the API, once, for its description: what it is for, who may make it, what goes in and what comes out. */

import type { TSchema } from 'typebox'
import { Type } from 'typebox'
import * as schemas from './schemas.ts'

type Answer = { readonly status: number; readonly says: string; readonly body?: TSchema; readonly type?: string }
export type Call = {
  readonly id: string
  readonly summary: string
  readonly scopes: readonly string[]
  readonly path?: readonly string[]
  readonly query?: { readonly properties: Readonly<Record<string, TSchema>> }
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: TSchema
  readonly answer: Answer
  /** Other answers that are no problems. */
  readonly also?: Readonly<Record<number, { readonly says: string; readonly body: TSchema }>>
  /** Answered with 201 where there was none. */
  readonly creates?: true
}

export const ref = (name: string): TSchema => Type.Unsafe({ $ref: `#/components/schemas/${name}` })
const listOf = (key: string, item: TSchema): TSchema => Type.Object({ [key]: Type.Array(item) })
const Alive = Type.Object({ status: Type.Literal('alive') })
const Ready = Type.Object({ status: Type.Enum(['not_ready', 'ready']), problems: Type.Array(Type.String()) })
const Laggards = Type.Object({ laggards: Type.Array(Type.String()) })
const looks = ['read', 'sessions']
const makes = ['sessions']

export const calls: Readonly<Record<string, Readonly<Record<string, Call>>>> = {
  '/v1/sessions': {
    post: {
      id: 'createSession',
      summary: 'Make a session. Its token is shown this once.',
      scopes: makes,
      headers: {
        'Idempotency-Key':
          'A repeated call with the same key gets the same session, with a new token, while its token is unused; then it is 409, and 422 with another body. Known for a day, and as long as the session lives.',
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
      answer: { status: 204, says: 'Its last connection is cut, on every replica.' },
      also: { 202: { says: 'It is over here; these replicas have not said so yet.', body: Laggards } },
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
    delete: {
      id: 'dropToken',
      summary: 'Take the token away: from then on the sources of the session alone prove it.',
      scopes: makes,
      path: ['id'],
      answer: { status: 204, says: 'Whoever comes from its sources is this session.' },
    },
  },
  '/v1/sessions/{id}/listener': {
    post: {
      id: 'openListener',
      summary: 'A Unix socket or a port on which everyone is this session, until it ends or the gateway does.',
      scopes: makes,
      path: ['id'],
      body: ref('OpenDoor'),
      answer: { status: 201, says: 'It listens.', body: ref('OpenedDoor') },
    },
    delete: {
      id: 'closeListener',
      summary: 'Close it; what came in by it is cut.',
      scopes: makes,
      path: ['id'],
      answer: { status: 204, says: 'It is closed.' },
    },
  },
  '/v1/decisions': {
    get: {
      id: 'listDecisions',
      summary: 'Recent decisions, newest first.',
      scopes: looks,
      query: schemas.DecisionQuery,
      answer: { status: 200, says: 'The decisions.', body: listOf('decisions', ref('Decision')) },
    },
  },
  '/v1/decisions/stream': {
    get: {
      id: 'streamDecisions',
      summary:
        'Decisions as they fall: events `decision`, and `missed` with a `count` where the reader was too slow (null: nobody knows how many).',
      headers: {
        'Last-Event-ID': 'Where a stream from before ended: what fell since comes first, open ones left out.',
      },
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
      summary: 'One policy. Its ETag is its version.',
      scopes: looks,
      path: ['name'],
      answer: { status: 200, says: 'The policy.', body: ref('OnePolicy') },
    },
    put: {
      id: 'putPolicy',
      summary:
        'Make or change a policy (admin), effective at once; with `dryRun=true` only say whether it would load. One of a file is 405.',
      scopes: looks,
      path: ['name'],
      query: schemas.PutPolicyQuery,
      headers: {
        'If-Match': 'The version it must have, as its ETag says.',
        'If-None-Match': '`*`: there must be none.',
      },
      body: ref('PolicyBody'),
      creates: true,
      answer: { status: 200, says: 'In force, or with `dryRun` it would load.', body: ref('Policy') },
    },
    delete: {
      id: 'removePolicy',
      summary: 'Take away a policy of the API that no session and no other policy uses.',
      scopes: ['admin'],
      path: ['name'],
      headers: { 'If-Match': 'The version it must have, as its ETag says.' },
      answer: { status: 204, says: 'Gone.' },
    },
  },
  '/v1/policies/explain': {
    post: {
      id: 'explain',
      summary: 'What would be decided of a request, and why.',
      scopes: looks,
      body: ref('Explain'),
      answer: { status: 200, says: 'The verdict.', body: ref('Verdict') },
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
    get: {
      id: 'alive',
      summary: 'The process answers.',
      scopes: [],
      answer: { status: 200, says: 'Alive.', body: Alive },
    },
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
