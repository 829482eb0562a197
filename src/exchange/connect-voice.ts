/**
 * How the client of a CONNECT is spoken to: in HTTP, or in SOCKS5. What is said is decided before, for both alike.
 *
 * Promises: a voice has no say: it turns an outcome into bytes and knows of nothing else.
 */

import { type SocksReply, socksReply } from '../net/socks.ts'
import { denyReasons } from '../policy/deny-reason.ts'
import { type FailureCode, failures } from '../upstream/failure.ts'
import type { Facts } from './facts.ts'
import type { Outcome } from './outcome.ts'
import { replyTo } from './reply.ts'

export type ConnectVoice = {
  /** Says that the tunnel is open. */
  readonly established: Buffer | string
  /** Says that it is not; null where nothing can be said. */
  readonly refuse: (outcome: Outcome, facts: Facts) => Refusal | null
}

type Refusal = {
  readonly bytes: Buffer
  /** For the record; what HTTP would have said where the bytes say it in other words. */
  readonly status: number
  /** Nothing more is read after it. */
  readonly last: boolean
}

/**
 * After a challenge the connection stays open for a moment, because clients answer it there; after anything else it ends:
 * Node's https agent forgets the socket of a refused CONNECT without closing it, and its process would not end before we do.
 */
export function httpVoice(httpVersion: string, early: Buffer): ConnectVoice {
  return {
    established: 'HTTP/1.1 200 Connection Established\r\n\r\n',
    refuse: (outcome, facts) => {
      const reply = replyTo(outcome, facts)
      if (reply === null) return null
      // What was sent before we answered is no next request.
      const last = reply.status !== 407 || early.length > 0 || httpVersion !== '1.1'
      const body = Buffer.from(reply.body)
      const lines = [`HTTP/1.1 ${reply.status} ${reply.reason}`]
      for (let i = 0; i < reply.fields.length; i += 2) lines.push(`${reply.fields[i]}: ${reply.fields[i + 1]}`)
      lines.push(`Content-Length: ${body.length}`, `Connection: ${last ? 'close' : 'keep-alive'}`, '', '')
      return { bytes: Buffer.concat([Buffer.from(lines.join('\r\n'), 'latin1'), body]), status: reply.status, last }
    },
  }
}

/** `says`: what the message that ends the handshake is answered with, where that is no reply to a request. */
export function socksVoice(says: Buffer | null = null): ConnectVoice {
  return {
    established: socksReply('succeeded'),
    refuse: (outcome) => {
      const told = socksWords(outcome)
      return told === null ? null : { bytes: says ?? socksReply(told.reply), status: told.status, last: true }
    },
  }
}

type SocksWords = { readonly reply: SocksReply; readonly status: number }

function socksWords(outcome: Outcome): SocksWords | null {
  switch (outcome.kind) {
    case 'abandoned':
    case 'completed':
    case 'interrupted':
      return null
    case 'deny': {
      const { status } = denyReasons[outcome.reason]
      // What is no judgement of the target (400, 429, 503) must not look like one.
      const final = status === 403 || status === 407 || status === 421
      return { reply: final ? 'notAllowed' : 'generalFailure', status }
    }
    case 'failed':
      return { reply: replyOf(outcome.code, outcome.cause), status: failures[outcome.code].status }
    case 'fault':
      return { reply: 'generalFailure', status: 500 }
  }
}

function replyOf(code: FailureCode, cause: unknown): SocksReply {
  const errno = code === 'connect_failed' && cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return byErrno[errno] ?? byCode[code] ?? 'generalFailure'
}

const byErrno: Readonly<Record<string, SocksReply>> = {
  EHOSTUNREACH: 'hostUnreachable',
  ENETUNREACH: 'networkUnreachable',
}

const byCode: Readonly<Partial<Record<FailureCode, SocksReply>>> = {
  connect_failed: 'connectionRefused',
  connect_timeout: 'hostUnreachable',
  dns_failed: 'hostUnreachable',
  dns_timeout: 'hostUnreachable',
}
