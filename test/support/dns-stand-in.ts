/** A DNS server, on loopback unless told otherwise, that answers from a table and remembers every question, byte for byte. */

import dgram from 'node:dgram'
import { once } from 'node:events'

/** What one question for a name gets. Records of the type that was not asked for are no answer (NODATA). */
type DnsAnswer =
  | 'nothing'
  | 'nxdomain'
  | 'servfail'
  | 'silence'
  | 'truncated'
  | {
      readonly a?: readonly string[]
      readonly aaaa?: readonly string[]
      /** The addresses are then those of this name. */
      readonly cname?: string
      readonly ttlSeconds?: number
    }

/**
 * Name in lower case to its answer; a list is one answer for each question of a type, the last one for good; `*.x` is for
 * every name below. Names that are not there do not exist.
 */
export type DnsTable = Readonly<Record<string, DnsAnswer | readonly DnsAnswer[]>>

type DnsQuery = { readonly name: string; readonly type: number }

export type DnsStandIn = AsyncDisposable & {
  /** For a resolver's list of servers. */
  readonly address: string
  /** Every question, in order; bytes of labels as latin1. */
  readonly queries: readonly DnsQuery[]
  /** Changes what a name gets. */
  readonly set: (name: string, answer: DnsAnswer | readonly DnsAnswer[]) => void
}

const typeA = 1
const typeAaaa = 28

export async function startDnsStandIn(
  table: DnsTable = {},
  at: { readonly address: string; readonly port: number } = { address: '127.0.0.1', port: 0 },
): Promise<DnsStandIn> {
  const socket = dgram.createSocket('udp4')
  const queries: DnsQuery[] = []
  const answers = new Map(Object.entries(table))
  const asked = new Map<string, number>()

  const answerTo = ({ name, type }: DnsQuery): DnsAnswer => {
    const lower = name.toLowerCase()
    const found =
      [lower, ...wildcardsOf(lower)].map((one) => answers.get(one)).find((one) => one !== undefined) ?? 'nxdomain'
    if (!isList(found)) return found
    const key = `${lower} ${type}`
    const turn = asked.get(key) ?? 0
    asked.set(key, turn + 1)
    return found[Math.min(turn, found.length - 1)] ?? 'nxdomain'
  }

  socket.on('message', (message, from) => {
    const question = readQuestion(message)
    if (question === null) return
    queries.push({ name: question.name, type: question.type })
    const answer = answerTo(question)
    if (answer !== 'silence') socket.send(encode(message, question, answer), from.port, from.address)
  })
  socket.bind(at.port, at.address)
  await once(socket, 'listening')
  return {
    address: `${at.address}:${socket.address().port}`,
    queries,
    set: (name, answer) => void answers.set(name, answer),
    async [Symbol.asyncDispose]() {
      socket.close()
      await once(socket, 'close')
    },
  }
}

function isList(answer: DnsAnswer | readonly DnsAnswer[]): answer is readonly DnsAnswer[] {
  return Array.isArray(answer)
}

/** `*.b.c` and `*.c` for `a.b.c`. */
function wildcardsOf(name: string): string[] {
  const labels = name.split('.')
  return labels.slice(1).map((_, index) => `*.${labels.slice(index + 1).join('.')}`)
}

type Question = DnsQuery & { readonly end: number }

function readQuestion(message: Buffer): Question | null {
  const labels: string[] = []
  let at = 12
  for (;;) {
    const length = message[at]
    if (length === undefined || length > 63) return null
    if (length === 0) break
    labels.push(message.toString('latin1', at + 1, at + 1 + length))
    at += length + 1
  }
  if (message.length < at + 5) return null
  return { name: labels.join('.'), type: message.readUInt16BE(at + 1), end: at + 5 }
}

const codes: Readonly<Record<string, number>> = { nxdomain: 3, servfail: 2 }

function encode(query: Buffer, question: Question, answer: DnsAnswer): Buffer {
  const records = typeof answer === 'string' ? [] : recordsOf(question, answer)
  const head = Buffer.alloc(12)
  query.copy(head, 0, 0, 2)
  const truncated = answer === 'truncated' ? 0x0200 : 0
  head.writeUInt16BE(0x8580 | truncated | (typeof answer === 'string' ? (codes[answer] ?? 0) : 0), 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(records.length, 6)
  return Buffer.concat([head, query.subarray(12, question.end), ...records])
}

function recordsOf({ name, type }: Question, answer: Exclude<DnsAnswer, string>): Buffer[] {
  const ttl = answer.ttlSeconds ?? 60
  const owner = answer.cname ?? name
  const addresses =
    type === typeA
      ? (answer.a ?? []).map((text) => Buffer.from(text.split('.').map(Number)))
      : type === typeAaaa
        ? (answer.aaaa ?? []).map(ipv6Bytes)
        : []
  return [
    ...(answer.cname === undefined ? [] : [record(name, 5, ttl, encodeName(answer.cname))]),
    ...addresses.map((bytes) => record(owner, type, ttl, bytes)),
  ]
}

function record(name: string, type: number, ttl: number, bytes: Buffer): Buffer {
  const fixed = Buffer.alloc(10)
  fixed.writeUInt16BE(type, 0)
  fixed.writeUInt16BE(1, 2)
  fixed.writeUInt32BE(ttl, 4)
  fixed.writeUInt16BE(bytes.length, 8)
  return Buffer.concat([encodeName(name), fixed, bytes])
}

function encodeName(name: string): Buffer {
  const labels = name.split('.').map((label) => Buffer.from(label, 'latin1'))
  return Buffer.concat([...labels.flatMap((label) => [Buffer.from([label.length]), label]), Buffer.from([0])])
}

function ipv6Bytes(text: string): Buffer {
  const [head = '', tail] = text.split('::')
  const groups = (part: string): number[] =>
    part === ''
      ? []
      : part.split(':').flatMap((piece) => {
          if (!piece.includes('.')) return [Number.parseInt(piece, 16)]
          const [a = 0, b = 0, c = 0, d = 0] = piece.split('.').map(Number)
          return [a * 256 + b, c * 256 + d]
        })
  const before = groups(head)
  const after = tail === undefined ? [] : groups(tail)
  const all = [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
  const bytes = Buffer.alloc(16)
  for (const [index, group] of all.entries()) bytes.writeUInt16BE(group, index * 2)
  return bytes
}
