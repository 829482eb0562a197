/** A CONNECT as HTTP asks for it (RFC 9110 §9.3.6). */

import { parseAuthority, type Authority } from '../net/authority.ts'
import { fieldValue } from '../net/fields.ts'
import { checkConnectFields, type RawHead } from '../net/request-head.ts'
import { type Deny, deny } from '../policy/decision.ts'
import { httpVoice } from './connect-voice.ts'
import type { Connection } from './connection.ts'
import type { ConnectAsked } from './handle-connect.ts'
import { identify } from './handle-request.ts'
import type { Rooms } from './rooms.ts'

export function httpConnect(rooms: Rooms, connection: Connection, request: RawHead, early: Buffer): ConnectAsked {
  return {
    authority: () => readAuthority(connection, request),
    who: () => identify(rooms, connection, request.fields),
    userAgent: fieldValue(request.fields, 'user-agent'),
    early,
    voice: httpVoice(request.httpVersion, early),
  }
}

function readAuthority(connection: Connection, request: RawHead): Authority | Deny {
  if (connection.start.place.kind === 'tunnel') return deny('malformed_request', 'CONNECT inside a tunnel')
  const authority = parseAuthority(request.target)
  if (authority === null) return deny('malformed_request', 'CONNECT target is not host:port')
  const problem = checkConnectFields(request.fields, authority)
  return problem === null ? authority : deny(problem.reason, problem.detail)
}
