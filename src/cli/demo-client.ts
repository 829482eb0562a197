/** For `sallyport demo`: what a client in a sandbox does, with nothing but its environment. */

import { once } from 'node:events'
import { type IncomingMessage, request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Duplex } from 'node:stream'
import { text as readText } from 'node:stream/consumers'

export type Answer = {
  readonly status: number
  readonly reason: string
  readonly body: string
  /** The refusal came in place of the tunnel. */
  readonly isRefusedConnect: boolean
}

export type Question = {
  /** `http://id:token@host:port`. */
  readonly proxyUrl: string
  /** PEM, of the gateway. */
  readonly trusted: string
  readonly method: string
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
}

export async function ask(question: Question): Promise<Answer> {
  const { hostname, port, pathname } = new URL(question.url)
  const { answer: opened, socket, early } = await connect(question, `${hostname}:${port}`)
  const { statusCode: status = 0, statusMessage: reason = '' } = opened
  if (status !== 200) {
    const body = await readBody(socket, early, Number(opened.headers['content-length'] ?? 0))
    return { status, reason, body, isRefusedConnect: true }
  }
  const { method, headers = {}, trusted: ca } = question
  const options = {
    host: hostname,
    port,
    path: pathname,
    method,
    headers,
    servername: hostname,
    ca,
    socket,
    agent: false,
  }
  const answer = parseAnswer(await once(httpsRequest(options).end(), 'response'))
  const body = await readText(answer)
  socket.destroy()
  return { status: answer.statusCode ?? 0, reason: answer.statusMessage ?? '', body, isRefusedConnect: false }
}

type Connected = { readonly answer: IncomingMessage; readonly socket: Duplex; readonly early: Buffer }

async function connect({ proxyUrl }: Question, target: string): Promise<Connected> {
  const proxy = new URL(proxyUrl)
  const proof = Buffer.from(`${proxy.username}:${proxy.password}`).toString('base64')
  const sent = httpRequest({
    host: proxy.hostname,
    port: proxy.port,
    method: 'CONNECT',
    path: target,
    headers: { host: target, 'proxy-authorization': `Basic ${proof}` },
    agent: false,
  }).end()
  return parseConnected(await once(sent, 'connect'))
}

/** After a CONNECT Node reads no body, whatever the status: the rest of the connection is ours. */
async function readBody(socket: Duplex, early: Buffer, length: number): Promise<string> {
  let body = early
  while (body.length < length) {
    const [chunk] = parseChunk(await once(socket, 'data'))
    body = Buffer.concat([body, chunk])
  }
  socket.destroy()
  return body.toString('utf8')
}

function parseAnswer(event: unknown[]): IncomingMessage {
  return event[0] as IncomingMessage
}

function parseConnected(event: unknown[]): Connected {
  const [answer, socket, early] = event as [IncomingMessage, Duplex, Buffer]
  return { answer, socket, early }
}

function parseChunk(event: unknown[]): [Buffer] {
  return event as [Buffer]
}
