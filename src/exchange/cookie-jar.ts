/** Cookies of one exchange under a rule with a jar: which of the client's go out, and what it gets in place of the origin's. */

import type { Equipped } from '../credentials/equip.ts'
import type { CookieScope } from '../credentials/sealed-cookies.ts'
import { withField } from '../net/outbound-head.ts'
import type { CookieRule } from '../net/response-head.ts'
import type { RequestPermit } from '../policy/decide-request.ts'
import type { Session } from '../sessions/session.ts'
import type { Rooms } from './rooms.ts'

type CookieJar = {
  /** Equipping left all of the client's cookies behind; those that are ours to open go on. */
  readonly fill: (equipped: Equipped) => Equipped
  readonly rule: CookieRule
}

export function openJar(rooms: Rooms, session: Session, { credential, head }: RequestPermit): CookieJar {
  const scope: CookieScope = {
    session: session.id,
    credential: session.credentials.get(credential ?? '') ?? '',
    host: head.authority.host.text,
  }
  return {
    fill: (equipped) => {
      const { field, secrets } = rooms.cookies.open(head.fields, scope)
      if (field === null) return equipped
      const filled = withField(equipped.head, 'Cookie', field)
      return { ...equipped, head: filled, secrets: [...equipped.secrets, ...secrets] }
    },
    rule: (value) => rooms.cookies.seal(value, scope),
  }
}

/** Where there is no jar. */
export function cookieRule({ credential, foreignCredentials }: RequestPermit): CookieRule {
  return credential === null && foreignCredentials === 'allow' ? 'pass' : 'strip'
}
