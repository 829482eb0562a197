/**
 * The OpenAPI 3.1 description, composed of the same schemas that validate.
 *
 * Promises: it says what is taken and given in words that generators of clients understand: maps by `additionalProperties`,
 * query values as what they mean rather than as the texts they are on the wire.
 */

import type { TSchema } from 'typebox'
import { Type } from 'typebox'
import { type Call, calls, ref } from './openapi-calls.ts'
import { problems } from './problem.ts'
import { DecisionView, VerdictView } from './record-schemas.ts'
import * as schemas from './schemas.ts'

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
      schemas: Object.fromEntries(Object.entries(shown).map(([name, schema]) => [name, describe(schema)])),
    },
  }
}

function operationOf(call: Call): Readonly<Record<string, unknown>> {
  const named = (place: string, name: string, required: boolean, schema: TSchema, description = ''): object => ({
    name,
    in: place,
    required,
    schema: describe(schema),
    ...(description === '' ? {} : { description }),
  })
  const { status, says, body, type = 'application/json' } = call.answer
  const content = body === undefined ? {} : { content: { [type]: { schema: describe(body) } } }
  const answered = { description: says, ...content }
  return {
    operationId: call.id,
    summary: call.summary,
    description:
      call.scopes.length === 0
        ? 'No token is needed.'
        : `Scopes: ${[...new Set(['admin', ...call.scopes])].join(', ')}.`,
    security: call.scopes.length === 0 ? [] : [{ controlToken: [] }],
    parameters: [
      ...(call.path ?? []).map((name) => named('path', name, true, Type.String())),
      ...Object.entries(call.query?.properties ?? {}).map(([name, schema]) =>
        named('query', name, false, queryMeanings[name] ?? schema),
      ),
      ...Object.entries(call.headers ?? {}).map(([name, says]) => named('header', name, false, Type.String(), says)),
    ],
    ...(call.body === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: call.body } } } }),
    responses: {
      [status]: answered,
      ...(call.creates === undefined ? {} : { 201: { ...answered, description: 'Made.' } }),
      ...Object.fromEntries(
        Object.entries(call.also ?? {}).map(([other, { says: description, body: schema }]) => [
          other,
          { description, content: { 'application/json': { schema } } },
        ]),
      ),
      default: { $ref: '#/components/responses/Problem' },
    },
  }
}

const shown: Readonly<Record<string, TSchema>> = {
  CreateSession: withPolicy(schemas.CreateSession),
  CreatedSession: schemas.CreatedSession,
  Decision: DecisionView,
  Explain: withPolicy(schemas.Explain),
  NewToken: schemas.NewToken,
  OpenDoor: schemas.OpenDoor,
  OpenedDoor: schemas.OpenedDoor,
  PatchSession: withPolicy(schemas.PatchSession),
  OnePolicy: schemas.OnePolicyView,
  Policy: schemas.PolicyView,
  PolicyBody: schemas.PolicyBody,
  Problem: Type.Object({
    ...schemas.ProblemView.properties,
    code: Type.Enum(Object.keys(problems)),
  }),
  Session: schemas.SessionView,
  SessionPage: Type.Object({ ...schemas.SessionPage.properties, sessions: Type.Array(ref('Session')) }),
  Verdict: VerdictView,
}

/** The compiler of policies judges an inline one; what it may be is told all the same. */
function withPolicy(schema: TSchema & { readonly properties: Readonly<Record<string, TSchema>> }): TSchema {
  const policy = Type.Union([schemas.PolicyName, ref('PolicyBody')], {
    description: 'A name, or a policy given inline.',
  })
  return { ...schema, properties: { ...schema.properties, policy } }
}

/** What the texts of a query mean. */
const queryMeanings: Readonly<Record<string, TSchema>> = {
  dryRun: Type.Boolean(),
  limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
  since: Type.String({ format: 'date-time' }),
}

/** Generators know maps by `additionalProperties`; names that fit a pattern they take for anything at all. */
function describe(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(describe)
  if (typeof schema !== 'object' || schema === null) return schema
  const written: Record<string, unknown> = { ...schema }
  const { patternProperties, additionalProperties, ...rest } = written
  const told = Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, describe(value)]))
  const patterns: [string, unknown][] = Object.entries(patternProperties ?? {})
  const [pattern] = patterns
  if (pattern === undefined || patterns.length > 1)
    return additionalProperties === undefined ? told : { ...told, additionalProperties: describe(additionalProperties) }
  const [names, values] = pattern
  const isAnyName = names === '^.*$'
  return {
    ...told,
    ...(isAnyName ? {} : { propertyNames: { pattern: names } }),
    additionalProperties: describe(values),
  }
}
