/**
 * Talks to the control API of a running gateway.
 *
 * Promises: calls go straight to the gateway, whatever proxy the environment names; the token is sent to nobody else
 * (redirects are not followed), and the one from the state directory only to this machine; every refusal is one line with
 * the fix.
 */

import { Agent, type IncomingMessage, request as httpRequest, type RequestOptions } from 'node:http'
import { Agent as TlsAgent, request as httpsRequest } from 'node:https'
import { visible } from './paint.ts'
import { Complaint } from './world.ts'

/** Where the control API is: what `node:http` is told. */
export type ControlTarget = {
  /** For people. */
  readonly text: string
  readonly secure: boolean
  readonly options: { readonly socketPath: string } | { readonly host: string; readonly port: number }
  /** The token cannot leave this machine on the way. */
  readonly isLocal: boolean
}

export type ControlClient = {
  readonly target: ControlTarget
  /** The JSON of a good answer; null where there is no body. */
  readonly call: (method: 'DELETE' | 'GET' | 'PATCH' | 'POST', path: string, body?: unknown) => Promise<unknown>
  /** A good answer whose body is still to come. */
  readonly open: (path: string, signal: AbortSignal) => Promise<IncomingMessage>
}

type CallOptions = Pick<RequestOptions, 'method' | 'path' | 'signal' | 'timeout'> & { readonly accept?: string }

/** The gateway answered, and said no. */
export class ControlRefusal extends Complaint {
  readonly status: number

  constructor(message: string, status: number) {
    super(message)
    this.status = status
  }
}

const callTimeoutMs = 30_000
const answerBytesMax = 64 * 2 ** 20

/** `http://host:port`, `host:port` or `unix:/path`; null: none of these. */
export function parseControlTarget(written: string): ControlTarget | null {
  if (written.startsWith('unix:/'))
    return { text: written, secure: false, options: { socketPath: written.slice(5) }, isLocal: true }
  const url = URL.parse(/^https?:\/\//i.test(written) ? written : `http://${written}`)
  if (url === null || url.username !== '' || !['', '/'].includes(url.pathname) || url.search !== '') return null
  const secure = url.protocol === 'https:'
  if (url.hostname === '' || (url.port === '' && !/^https?:/i.test(written))) return null
  // A gateway that listens everywhere is reached by loopback from here.
  const host = { '0.0.0.0': '127.0.0.1', '[::]': '::1' }[url.hostname] ?? url.hostname.replace(/^\[|\]$/g, '')
  const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port)
  const isLocal = host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
  return { text: `${url.protocol}//${url.host}`, secure, options: { host, port }, isLocal }
}

/** Without a token only what is open to everyone is answered. */
export function createControlClient(target: ControlTarget, token: string | null): ControlClient {
  const open = (
    { accept = 'application/json', ...options }: CallOptions,
    body: string | null,
  ): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const send = target.secure ? httpsRequest : httpRequest
      // An agent of our own: the global one may be told to use a proxy.
      const agent = target.secure ? new TlsAgent() : new Agent()
      const json =
        body === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
      const proof = token === null ? {} : { authorization: `Bearer ${token}` }
      const headers = { ...proof, accept, ...json }
      const sent = send({ ...target.options, ...options, agent, headers }, resolve)
      sent.on('error', (error) => reject(new Complaint(unreached(target, error))))
      sent.on('timeout', () => sent.destroy(new Error(`no answer in ${callTimeoutMs / 1000} s`)))
      sent.end(body)
    })
  return {
    target,
    call: async (method, path, body) => {
      const text = body === undefined ? null : JSON.stringify(body)
      const answer = await open({ method, path, timeout: callTimeoutMs }, text)
      const content = await readAll(answer, target)
      if (isGood(answer)) return content === '' ? null : parseJson(content, target)
      throw refusalOf(answer, content, target)
    },
    open: async (path, signal) => {
      const answer = await open({ method: 'GET', path, signal, accept: 'text/event-stream' }, null)
      if (isGood(answer)) return answer
      throw refusalOf(answer, await readAll(answer, target), target)
    },
  }
}

function isGood({ statusCode = 0 }: IncomingMessage): boolean {
  return statusCode >= 200 && statusCode < 300
}

async function readAll(answer: IncomingMessage, target: ControlTarget): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      length += chunk.length
      if (length > answerBytesMax) throw new Error('the answer is too long')
      chunks.push(chunk)
    }
  } catch (error) {
    throw new Complaint(unreached(target, error))
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parseJson(text: string, target: ControlTarget): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new Complaint(`${target.text} does not answer as a control API does; is the address right?`)
  }
}

function unreached(target: ControlTarget, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code === 'ECONNREFUSED' || code === 'ENOENT')
    return `no gateway answers at ${target.text}; start one with "sallyport serve", or name another with --control`
  const told = code === '' ? (error instanceof Error ? error.message : 'unknown error') : code
  return `the gateway at ${target.text} cannot be reached (${told}); correct the address with --control`
}

type Problem = { readonly title?: unknown; readonly detail?: unknown; readonly issues?: unknown }

/** The API's own words (RFC 9457), which hold the fix, with every issue on a line. */
function refusalOf(
  { statusCode: status = 0 }: IncomingMessage,
  content: string,
  target: ControlTarget,
): ControlRefusal {
  const { title, detail, issues } = parseProblem(content)
  if (typeof title !== 'string')
    return new ControlRefusal(`${target.text} answers ${status}; is it a control API?`, status)
  const fix = status === 401 ? '; set SALLYPORT_ADMIN_TOKEN or --token-file' : ''
  const lines = Array.isArray(issues) ? issues.map(issueLine) : []
  return new ControlRefusal(
    visibleLines([`${title}: ${typeof detail === 'string' ? detail : ''}${fix}`, ...lines]),
    status,
  )
}

function issueLine(issue: unknown): string {
  const { path = '', message = '', fix } = parseIssue(issue)
  return `  ${path}: ${message}${fix === undefined ? '' : `; ${fix}`}`
}

function visibleLines(lines: readonly string[]): string {
  return lines.map(visible).join('\n')
}

function parseProblem(content: string): Problem {
  try {
    const value: unknown = JSON.parse(content)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}

function parseIssue(issue: unknown): { readonly path?: string; readonly message?: string; readonly fix?: string } {
  return typeof issue === 'object' && issue !== null ? issue : {}
}
