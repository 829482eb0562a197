/**
 * ClientHello: what a client says in clear before TLS begins, read without consuming it. Pure.
 *
 * Promises: never throws, and never guesses. A hello counts only when every length in it agrees and its extensions fill
 * it exactly (RFC 8446 §4.1.2, §5.1), whether it came in one segment or byte by byte, in one record or in many. What two
 * TLS stacks could read differently (an extension twice, two server names, a name of another type, an empty or
 * unprintable name) is `not_tls`: no name is reported that some server might not see.
 *
 * `serverName` is the text as sent, case kept; it is not a `Host`. What is printable and yet no host (300 letters, a
 * port behind the name) comes out as it is, parses to no `Host` and so equals none: a mismatch.
 */

export type ClientHello =
  /** Well-formed so far; the rest has not come. */
  | { readonly kind: 'more' }
  | {
      readonly kind: 'hello'
      readonly serverName: string | null
      readonly alpn: readonly string[]
      /** Also true for the GREASE form that some browsers always send: from outside the two look the same. */
      readonly encryptedClientHello: boolean
    }
  | { readonly kind: 'not_tls'; readonly detail: string }

/** A hello that has not ended after this many bytes never will, for us. A post-quantum one takes about 2 KiB. */
export const clientHelloBytesMax = 65_536

// One record per byte of an ordinary hello still passes; more would only make us walk record heads for nothing.
const recordsMax = 2_048

const recordHeadBytes = 5
const messageHeadBytes = 4
const recordBytesMax = 16_384

const serverNameExtension = 0
const alpnExtension = 16
const echExtension = 0xfe0d

/** Reads what has arrived so far, from the first byte of the connection. Bytes behind the hello are not looked at. */
export function readClientHello(bytes: Buffer): ClientHello {
  const message = joinRecords(bytes.subarray(0, clientHelloBytesMax))
  return Buffer.isBuffer(message) ? readBody(new Cursor(message)) : message
}

/** The body of the handshake message, out of the records it is cut into. */
function joinRecords(bytes: Buffer): Buffer | ClientHello {
  const unfinished = bytes.length < clientHelloBytesMax ? more : notTls('the ClientHello does not end')
  const fragments: Buffer[] = []
  let messageHead: Buffer = Buffer.alloc(0)
  let held = 0
  let offset = 0
  for (let records = 0; records < recordsMax; records++) {
    const recordHead = bytes.subarray(offset, offset + recordHeadBytes)
    const wrongRecord = judgeRecordHead(recordHead)
    if (wrongRecord !== null) return notTls(wrongRecord)
    if (recordHead.length < recordHeadBytes) return unfinished
    const length = recordHead.readUInt16BE(3)
    const fragment = bytes.subarray(offset + recordHeadBytes, offset + recordHeadBytes + length)
    fragments.push(fragment)
    if (messageHead.length < messageHeadBytes) {
      messageHead = Buffer.concat([messageHead, fragment]).subarray(0, messageHeadBytes)
      const wrongMessage = judgeMessageHead(messageHead)
      if (wrongMessage !== null) return notTls(wrongMessage)
    }
    const total = messageHead.length < messageHeadBytes ? Infinity : messageHeadBytes + messageHead.readUIntBE(1, 3)
    if (held + length > total) return notTls('the record goes on behind the ClientHello')
    if (fragment.length < length) return unfinished
    held += length
    offset += recordHeadBytes + length
    if (held === total) return Buffer.concat(fragments).subarray(messageHeadBytes)
  }
  return notTls('the ClientHello is cut into too many records')
}

/** As much of a record's head as has come: judged early, so that what is not TLS is known by its first byte. */
function judgeRecordHead(head: Buffer): string | null {
  const [type, major, minor] = head
  if (type !== undefined && type !== 22) return 'the record is not a handshake record'
  if (major !== undefined && major !== 3) return 'the record has no version of TLS'
  if (minor !== undefined && (minor < 1 || minor > 4)) return 'the record has no version of TLS'
  if (head.length < recordHeadBytes) return null
  const length = head.readUInt16BE(3)
  // RFC 8446 §5.1: a handshake record is never empty and never longer than 2^14.
  return length === 0 || length > recordBytesMax ? 'the record has an impossible length' : null
}

function judgeMessageHead(head: Buffer): string | null {
  if (head.length > 0 && head[0] !== 1) return 'the handshake does not begin with a ClientHello'
  if (head.length < messageHeadBytes) return null
  return messageHeadBytes + head.readUIntBE(1, 3) > clientHelloBytesMax ? 'the ClientHello is too long' : null
}

function readBody(body: Cursor): ClientHello {
  const version = body.number(2)
  const random = body.bytes(32)
  const sessionId = body.vector(1)
  const cipherSuites = body.vector(2)
  const compression = body.vector(1)
  if (version === null || random === null || sessionId === null || cipherSuites === null || compression === null) {
    return notTls('the ClientHello is cut short')
  }
  if (version < 0x0301 || version > 0x0304) return notTls('the ClientHello has no version of TLS')
  if (sessionId.left > 32) return notTls('the session id is too long')
  if (cipherSuites.left === 0 || cipherSuites.left % 2 !== 0) return notTls('the cipher suites have an odd length')
  if (compression.left === 0) return notTls('the ClientHello offers no compression method')
  // TLS 1.2 and below may leave the whole block out (RFC 5246 §7.4.1.2).
  if (body.left === 0) return { kind: 'hello', serverName: null, alpn: [], encryptedClientHello: false }
  const extensions = body.vector(2)
  if (extensions === null || body.left > 0) return notTls('the extensions do not fill the ClientHello')
  return readExtensions(extensions)
}

function readExtensions(extensions: Cursor): ClientHello {
  const found = new Map<number, Cursor>()
  while (extensions.left > 0) {
    const type = extensions.number(2)
    const content = extensions.vector(2)
    if (type === null || content === null) return notTls('the extensions do not fill the ClientHello')
    if (found.has(type)) return notTls('an extension is given twice')
    found.set(type, content)
  }
  const serverName = readServerName(found.get(serverNameExtension))
  if (typeof serverName === 'object' && serverName !== null) return serverName
  const alpn = readAlpn(found.get(alpnExtension))
  if (alpn === null) return notTls('the ALPN extension is malformed')
  return { kind: 'hello', serverName, alpn, encryptedClientHello: found.has(echExtension) }
}

/** RFC 6066 §3: a list of typed names, at most one of a type, and `host_name` is the only type there is. */
function readServerName(extension: Cursor | undefined): string | null | ClientHello {
  if (extension === undefined) return null
  const list = extension.vector(2)
  if (list === null || extension.left > 0) return notTls('the server_name extension is malformed')
  const type = list.number(1)
  const name = list.vector(2)
  if (type === null || name === null) return notTls('the server_name extension is malformed')
  if (type !== 0) return notTls('the server name is of an unknown type')
  if (list.left > 0) return notTls('the ClientHello gives more than one server name')
  const text = name.text()
  return /^[\x21-\x7e]+$/.test(text) ? text : notTls('the server name is empty or not printable')
}

/** RFC 7301 §3.1; null when malformed. */
function readAlpn(extension: Cursor | undefined): readonly string[] | null {
  if (extension === undefined) return []
  const list = extension.vector(2)
  if (list === null || extension.left > 0 || list.left === 0) return null
  const protocols: string[] = []
  while (list.left > 0) {
    const protocol = list.vector(1)
    if (protocol === null || protocol.left === 0) return null
    protocols.push(protocol.text())
  }
  return protocols
}

/** Reads forward and answers null instead of reading past the end. */
class Cursor {
  readonly #bytes: Buffer
  #offset = 0
  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }
  get left(): number {
    return this.#bytes.length - this.#offset
  }
  bytes(count: number): Buffer | null {
    if (count > this.left) return null
    this.#offset += count
    return this.#bytes.subarray(this.#offset - count, this.#offset)
  }
  number(size: 1 | 2): number | null {
    return this.bytes(size)?.readUIntBE(0, size) ?? null
  }
  /** What follows a length of `size` bytes (RFC 8446 §3.4). */
  vector(size: 1 | 2): Cursor | null {
    const length = this.number(size)
    const content = length === null ? null : this.bytes(length)
    return content === null ? null : new Cursor(content)
  }
  /** All that is left, byte for byte. */
  text(): string {
    return this.#bytes.toString('latin1', this.#offset)
  }
}

const more: ClientHello = { kind: 'more' }

function notTls(detail: string): ClientHello {
  return { kind: 'not_tls', detail }
}
