/**
 * A model of HTTP/1.1 requests that forgives nothing, to read what an origin received byte for byte.
 *
 * It shares no code with the product: what it calls well-formed is what RFC 9112 lets a sender send, and no more.
 */

export type StrictRequest = {
  readonly method: string
  readonly target: string
  /** Name in lower case, value as sent; in order. */
  readonly fields: readonly (readonly [string, string])[]
  readonly host: string
  readonly body: Buffer
  readonly framing: 'chunked' | 'length' | 'none'
}

/** `rest` is what stands behind the last whole request: nothing, the beginning of one more, or something that is none. */
export type StrictReading = {
  readonly requests: readonly StrictRequest[]
  readonly rest: 'none' | 'partial' | { readonly malformed: string }
}

const requestLine = /^([A-Z]+) (\/[!-~]*|\*) HTTP\/1\.1$/
const fieldLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[\t -~]|[\x80-\xff])*?)[ \t]*$/

export function readStrictly(bytes: Buffer): StrictReading {
  const requests: StrictRequest[] = []
  let at = 0
  while (at < bytes.length) {
    const one = readOne(bytes, at)
    if (one === 'partial') return { requests, rest: 'partial' }
    if ('malformed' in one) return { requests, rest: one }
    requests.push(one.request)
    at = one.end
  }
  return { requests, rest: 'none' }
}

type One = 'partial' | { readonly malformed: string } | { readonly request: StrictRequest; readonly end: number }

function readOne(bytes: Buffer, start: number): One {
  const headEnd = bytes.indexOf('\r\n\r\n', start)
  const lines = bytes.toString('latin1', start, headEnd < 0 ? bytes.length : headEnd).split('\r\n')
  // Of a head that has not ended the last line may still be growing.
  const whole = headEnd < 0 ? lines.slice(0, -1) : lines
  const first = requestLine.exec(whole[0] ?? '')
  if (whole.length > 0 && first === null) return { malformed: `request line ${JSON.stringify(whole[0])}` }
  const fields: [string, string][] = []
  for (const line of whole.slice(1)) {
    const match = fieldLine.exec(line)
    if (match === null) return { malformed: `field line ${JSON.stringify(line)}` }
    fields.push([(match[1] ?? '').toLowerCase(), match[2] ?? ''])
  }
  if (headEnd < 0 || first === null) return 'partial'
  const all = (name: string): string[] => fields.filter(([found]) => found === name).map(([, value]) => value)
  const [host, ...hosts] = all('host')
  if (host === undefined || hosts.length > 0) return { malformed: 'not exactly one Host' }
  const lengths = all('content-length')
  const codings = all('transfer-encoding')
  if (lengths.length + codings.length > 1) return { malformed: 'framed twice' }
  const method = first[1] ?? ''
  const target = first[2] ?? ''
  const bodyAt = headEnd + 4
  const request = { method, target, fields, host }
  if (codings.length === 1) {
    if (codings[0] !== 'chunked') return { malformed: `Transfer-Encoding: ${codings[0]}` }
    const body = readChunks(bytes, bodyAt)
    if (body === 'partial' || 'malformed' in body) return body
    return { request: { ...request, framing: 'chunked', body: body.body }, end: body.end }
  }
  if (lengths.length === 0) return { request: { ...request, framing: 'none', body: Buffer.alloc(0) }, end: bodyAt }
  if (!/^(?:0|[1-9]\d{0,14})$/.test(lengths[0] ?? '')) return { malformed: `Content-Length: ${lengths[0]}` }
  const end = bodyAt + Number(lengths[0])
  if (end > bytes.length) return 'partial'
  return { request: { ...request, framing: 'length', body: bytes.subarray(bodyAt, end) }, end }
}

/** Sizes without extensions, and no trailers: a proxy that frames anew has neither. */
function readChunks(
  bytes: Buffer,
  start: number,
): 'partial' | { readonly malformed: string } | { readonly body: Buffer; readonly end: number } {
  const chunks: Buffer[] = []
  let at = start
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    const line = bytes.toString('latin1', at, lineEnd < 0 ? Math.min(bytes.length, at + 20) : lineEnd)
    if (lineEnd < 0) return /^[0-9a-fA-F]{0,8}\r?$/.test(line) ? 'partial' : { malformed: `chunk line ${line}` }
    if (!/^[0-9a-fA-F]{1,8}$/.test(line)) return { malformed: `chunk line ${JSON.stringify(line)}` }
    const size = Number.parseInt(line, 16)
    const dataAt = lineEnd + 2
    if (bytes.length < dataAt + size + 2) return 'partial'
    if (bytes.toString('latin1', dataAt + size, dataAt + size + 2) !== '\r\n')
      return { malformed: size === 0 ? 'trailers' : 'chunk without its end' }
    if (size === 0) return { body: Buffer.concat(chunks), end: dataAt + 2 }
    chunks.push(bytes.subarray(dataAt, dataAt + size))
    at = dataAt + size + 2
  }
}

/** Values of the field, in order. */
export function valuesOf(request: StrictRequest, name: string): readonly string[] {
  return request.fields.filter(([found]) => found === name.toLowerCase()).map(([, value]) => value)
}
