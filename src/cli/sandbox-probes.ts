/**
 * What `sallyport verify` tries from inside a sandbox: ways out, one attempt each.
 *
 * Promises: an attempt says what happened and never fails by itself; each has a deadline; nothing is sent over a
 * connection that should not be there beyond opening it.
 */

import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { Resolver } from 'node:dns/promises'
import { connect as connectSocket, type NetConnectOpts, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

/** `detail` is for people: an error code, or what answered. */
export type Attempt = { readonly reached: boolean; readonly detail: string }

export type ProxyAddress = {
  readonly host: string
  readonly port: number
  /** Value of Proxy-Authorization; null: none in the URL. */
  readonly authorization: string | null
}

export type ProxyAnswer = {
  /** Null: there was no HTTP answer. */
  readonly status: number | null
  /** Why the gateway refused, of its own decision; null: it did not, or there was no answer. */
  readonly deniedBecause: string | null
  readonly body: string
  readonly detail: string
}

const answerBytesMax = 1 << 20

export function tryTcp(host: string, port: number, timeoutMs: number): Promise<Attempt> {
  return tryConnect({ host, port }, timeoutMs)
}

/** An abstract socket's path begins with NUL. */
export function tryUnix(path: string, timeoutMs: number): Promise<Attempt> {
  return tryConnect({ path }, timeoutMs)
}

function tryConnect(options: NetConnectOpts, timeoutMs: number): Promise<Attempt> {
  return new Promise((resolve) => {
    const end = (attempt: Attempt): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(attempt)
    }
    const timer = setTimeout(() => end({ reached: false, detail: 'no answer' }), timeoutMs)
    const socket = connectSocket(options)
    socket.once('connect', () => end({ reached: true, detail: 'connected' }))
    socket.once('error', (error) => end({ reached: false, detail: codeOf(error) }))
  })
}

/**
 * By the system's own way, files, sockets and all. In a process of its own: a lookup cannot be given up, and would keep
 * this one from ending.
 */
export function tryLookup(name: string, timeoutMs: number): Promise<Attempt> {
  const program = `require('node:dns').lookup(process.argv[1], (error, address) => {
    process.stdout.write(error ? error.code : address)
    process.exitCode = error ? 1 : 0
  })`
  const options = { timeout: timeoutMs, killSignal: 'SIGKILL' } as const
  return new Promise((resolve) => {
    execFile(process.execPath, ['-e', program, name], options, (error, said) =>
      resolve({ reached: error === null, detail: said === '' ? 'no answer' : said }),
    )
  })
}

/** Null: of the servers that the system is told to ask. */
export async function tryQuery(name: string, server: string | null, timeoutMs: number): Promise<Attempt> {
  const resolver = new Resolver({ timeout: timeoutMs, tries: 1 })
  if (server !== null) resolver.setServers([server])
  const attempt = await answered(resolver.resolve4(name), timeoutMs + 500)
  resolver.cancel()
  return attempt
}

async function answered(addresses: Promise<string[]>, timeoutMs: number): Promise<Attempt> {
  const deadline = new Promise<null>((resolve) => {
    setTimeout(() => resolve(null), timeoutMs).unref()
  })
  try {
    const found = await Promise.race([addresses, deadline])
    if (found === null) return { reached: false, detail: 'no answer' }
    return { reached: found.length > 0, detail: found.join(', ') }
  } catch (error) {
    return { reached: false, detail: codeOf(error) }
  }
}

/** A name that nobody has (RFC 6761 §6.4) and nobody has asked for before. */
export function unheardName(): string {
  return `${randomBytes(6).toString('hex')}.invalid`
}

/** `CONNECT` to `host:port`. Where it is granted, the tunnel is closed again, after a TLS handshake if `trusted` is given. */
export function askTunnel(
  proxy: ProxyAddress,
  target: string,
  timeoutMs: number,
  trusted?: readonly string[],
): Promise<ProxyAnswer> {
  return ask(proxy, `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n`, timeoutMs, (socket) =>
    trusted === undefined ? Promise.resolve('tunnel opened') : handshake(socket, target, trusted),
  )
}

/** `GET` of an absolute `http:` URL. */
export function askPlain(proxy: ProxyAddress, url: string, timeoutMs: number): Promise<ProxyAnswer> {
  const head = `GET ${url} HTTP/1.1\r\nHost: ${new URL(url).host}\r\nAccept: application/json\r\nConnection: close\r\n`
  return ask(proxy, head, timeoutMs, null)
}

type AfterConnect = ((socket: Socket) => Promise<string>) | null

function ask(proxy: ProxyAddress, head: string, timeoutMs: number, onTunnel: AfterConnect): Promise<ProxyAnswer> {
  return new Promise((resolve) => {
    const proof = proxy.authorization === null ? '' : `Proxy-Authorization: ${proxy.authorization}\r\n`
    const socket = connectSocket({ host: proxy.host, port: proxy.port })
    let text = ''
    const end = (detail: string, status: number | null = statusOf(text)): void => {
      clearTimeout(timer)
      socket.destroy()
      const isDenied = /^x-egress-decision: *deny\r?$/im.test(headOf(text))
      const reason = /^x-egress-reason: *(\w+)/im.exec(headOf(text))?.[1] ?? null
      resolve({ status, deniedBecause: isDenied ? reason : null, body: text.slice(headOf(text).length + 4), detail })
    }
    const timer = setTimeout(() => end('no answer', null), timeoutMs)
    socket.once('error', (error) => end(codeOf(error), null))
    socket.once('close', () => end(lineOf(text)))
    socket.once('connect', () => socket.write(`${head}${proof}\r\n`))
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (text.length > answerBytesMax) return end('the answer is too long', null)
      if (onTunnel === null || !text.includes('\r\n\r\n')) return
      if (statusOf(text) !== 200) return end(lineOf(text))
      socket.removeAllListeners('data')
      onTunnel(socket).then(end, (error: unknown) => end(codeOf(error), null))
    })
  })
}

function handshake(socket: Socket, target: string, trusted: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const servername = target.replace(/:\d+$/, '')
    const secured = connectTls({ socket, servername, ca: [...trusted] })
    secured.once('error', reject)
    secured.once('secureConnect', () => {
      const { issuer } = secured.getPeerCertificate()
      resolve(`certificate of ${String(issuer.CN)} is trusted`)
    })
  })
}

function headOf(text: string): string {
  const end = text.indexOf('\r\n\r\n')
  return end === -1 ? text : text.slice(0, end)
}

function lineOf(text: string): string {
  return text === '' ? 'closed without an answer' : (text.split('\r\n', 1)[0] ?? '')
}

function statusOf(text: string): number | null {
  const digits = /^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1]
  return digits === undefined ? null : Number(digits)
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message
}
