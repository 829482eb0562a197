/**
 * A refusal for a client that speaks gRPC: as a status of gRPC, since it looks at nothing else (gRPC over HTTP/2, "Responses").
 *
 * Promises: the same words as everywhere; a status after which no client tries again by itself, where that is of no use.
 */

import { type Fields, fieldValues } from '../net/fields.ts'
import type { Reply } from './reply.ts'

/** Not gRPC-Web: that is read by pages, which look at the status of HTTP. */
export function asksGrpc(fields: Fields): boolean {
  return fieldValues(fields, 'content-type').some((value) => /^application\/grpc(?:$|[+; ])/i.test(value))
}

const statuses = {
  internal: 13,
  invalidArgument: 3,
  permissionDenied: 7,
  resourceExhausted: 8,
  unauthenticated: 16,
  unavailable: 14,
} as const

/** The fields of an answer that is its own end: status, words, and what every refusal says of itself. */
export function grpcFieldsOf({ status, reason, fields }: Reply): string[] {
  const list = ['content-type', 'application/grpc']
  list.push('grpc-status', String(grpcStatusOf(status)), 'grpc-message', reason.replace(/%/g, '%25'))
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? ''
    if (name.toLowerCase() !== 'content-type') list.push(name, fields[i + 1] ?? '')
  }
  return list
}

function grpcStatusOf(status: number): number {
  switch (status) {
    case 200:
      return 0
    case 400:
      return statuses.invalidArgument
    case 401:
    case 407:
      return statuses.unauthenticated
    case 429:
      return statuses.resourceExhausted
    case 500:
      return statuses.internal
    case 502:
    case 503:
    case 504:
      return statuses.unavailable
    default:
      return statuses.permissionDenied
  }
}
