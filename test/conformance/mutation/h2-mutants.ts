/** Checks of HTTP/2: its heads, its streams, its floods. */

import type { Mutant } from './mutants.ts'

const of =
  (file: string, corpus: readonly string[], unit?: string) =>
  (mutant: Pick<Mutant, 'cases' | 'from' | 'to' | 'without'>): Mutant => ({
    file,
    corpus,
    ...(unit === undefined ? {} : { unit }),
    ...mutant,
  })
const hostile = 'hostile-h2.test.ts'
const streams = 'integration/h2-streams.test.ts'
const head = of('net/h2-head.ts', [hostile], 'net/h2-head.test.ts')
const door = of('listeners/h2-door.ts', [hostile, streams])
const lane = of('listeners/h2-lane.ts', [hostile, streams])
const answer = of('exchange/h2-answer.ts', [streams])

const webSocket = (file: string) => of(file, ['integration/h2-websocket.test.ts'])

const origins = 'integration/h2-origins.test.ts'
const forwardH2 = of('upstream/forward-h2.ts', [origins])
const sessions = of('upstream/h2-sessions.ts', [origins])
const trailers = of('net/request-trailers.ts', [origins])
const pools = of('upstream/origin-pools.ts', [origins])
const grpc = of('exchange/h2-answer.ts', ['integration/clients-grpc.test.ts'])

export const h2Mutants: readonly Mutant[] = [
  head({
    without: 'the rule that a pseudo-header field comes once',
    from: 'return pseudo[name] === null ? null : malformed(`more than one ${name}`)',
    to: 'return null',
  }),
  head({
    without: 'the rule that pseudo-header fields come first',
    from: "if (late) return malformed('a pseudo-header field behind the others')",
    to: '',
  }),
  head({ without: 'the grammar of names', from: 'if (!fieldName.test(name))', to: 'if (name === null)' }),
  head({ without: 'the grammar of values', from: 'if (!fieldValue.test(value))', to: 'if (value === null)' }),
  head({
    without: 'the ban of fields of one connection',
    from: 'if (ofConnection.has(name))',
    to: 'if (name === null)',
  }),
  head({ without: 'the comparison of Host', from: 'return sameAuthority(host, authority)', to: 'return true' }),
  head({
    without: 'the comparison of schemes',
    from: "return pseudo[':scheme'] === scheme ?",
    to: "return pseudo[':scheme'] !== null ?",
  }),
  head({ without: 'the bound of a head', from: 'if (bytes > headBytesMax)', to: 'if (bytes < 0)' }),
  head({
    without: 'the refusal of what is no WebSocket',
    from: "if (pseudo[':protocol'] !== 'websocket') return",
    to: 'if (false) return',
  }),
  head({
    without: 'the tie of :protocol to CONNECT',
    from: "if (pseudo[':method'] !== 'CONNECT') return",
    to: 'if (false) return',
  }),
  head({
    without: 'the refusal of a WebSocket without a way to speak',
    from: "return bodiless ? malformed('a WebSocket handshake that is the end of its stream') : null",
    to: 'return null',
  }),
  head({
    without: 'the check of a WebSocket handshake by what HTTP/1.1 has for it',
    from: 'return { raw, head: problem ?? parseRequestHead(raw, place) }',
    to: "return { raw, head: parseRequestHead({ ...raw, fields: ['host', place.authority.text, ...raw.fields.slice(2)] }, place) }",
  }),
  webSocket('exchange/h2-answer.ts')({
    without: 'the difference between an answer and a yes',
    from: 'if (this.#webSocket && status < 300)',
    to: 'if (this.#webSocket && status < 200)',
    cases: 'that would be a yes',
  }),
  webSocket('exchange/h2-answer.ts')({
    without: 'the wait for a last word',
    from: 'return Promise.race([gone, delay(lastWordMsMax, undefined, { ref: false })]).then(() => cancelStream(stream))',
    to: 'cancelStream(stream)\n    return gone',
    cases: 'hears why',
  }),
  webSocket('exchange/connection.ts')({
    without: 'the wait for last words',
    from: 'if (word === null) resetSocket(raw)',
    to: 'if (word !== undefined) resetSocket(raw)',
    cases: 'hears why',
  }),
  webSocket('exchange/open-websocket.ts')({
    without: 'the reset of a stream that was reset',
    from: "client.stream.once('aborted', () => tunnel.cut('reset'))",
    to: '',
    cases: 'ends alone',
  }),
  webSocket('gateway/walk-parts.ts')({
    without: 'the moment for last words at the end',
    from: 'await h2Door.left(lastWordMsMax)',
    to: '',
    cases: 'gateway that stops',
  }),
  webSocket('listeners/h2-lane.ts')({
    without: 'the count of bytes of messages',
    from: "this.#start.stream.on('data', (piece: Buffer) => this.#listener.onBytes(piece.length))",
    to: '',
    cases: 'no flood',
  }),
  of('exchange/open-websocket.ts', ['integration/delivery-silence.test.ts'])({
    without: 'the deadline of a stream of messages',
    from: 'else if (now - this.#movedAt > idleMs)',
    to: 'else if (now < 0)',
    cases: 'WebSocket',
  }),

  head({ without: 'the joining of cookies', from: "if (name === 'cookie' && cookieAt > 0)", to: 'if (cookieAt < 0)' }),

  door({
    without: 'records of what the library refused',
    from: "this.#tell('a head that HTTP/2 itself forbids')",
    to: '',
    cases: 'a head that is refused',
  }),
  of('listeners/h2-door.ts', ['integration/clients-nghttp2.test.ts'])({
    without: 'the care for clients that begin with a later number',
    from: 'if (this.#seen < 0) this.#seen = id - 2',
    to: '',
    cases: 'told why',
  }),
  door({
    without: 'the end of a flood',
    from: 'if (!this.#gauge.allows(kind, performance.now()))',
    to: 'if (kind === null)',
    cases: 'flood',
  }),
  door({
    without: 'the bound of frames that carry nothing',
    from: 'if (!this.#gauge.allowsBytes(stream.bytesRead, raw.bytesWritten, now))',
    to: 'if (now < 0)',
    cases: 'flood',
  }),
  door({
    without: 'the record of a connection that broke the rules',
    from: "this.#tell('the client broke the rules of HTTP/2')",
    to: '',
    cases: 'flood',
  }),
  door({
    without: 'the end of silence',
    from: 'else if (this.#lanes.size === 0 && now - this.#idleSince > connection.patience(limits.keepAliveMs)) this.#end()',
    to: '',
    cases: 'told to go',
  }),
  door({
    without: 'the word to go when the gateway stops',
    from: 'for (const visit of visits) visit.goAway()',
    to: '',
    cases: 'the gateway stops',
  }),
  door({
    without: 'the end of all streams of a client that left',
    from: 'this.#underWay.leave()\n      this.#end()',
    to: 'this.#end()',
    cases: 'leaves with all',
  }),

  door({
    without: 'an ear for streams behind a flood',
    from: "stream.on('error', ignore)",
    to: '',
    cases: 'opened and refused',
  }),
  of('listeners/h2-lane.ts', ['integration/clients-nghttp2.test.ts'])({
    without: 'the end of an answer that the library has not told yet',
    from: '!(this.answer.ended || this.#detached)',
    to: '!stream.writableFinished',
    cases: 'h2load',
  }),
  lane({
    without: 'back-pressure on uploads',
    from: 'if (!this.body.push(piece)) this.#start.stream.pause()',
    to: 'this.body.push(piece)',
    cases: 'takes its time',
  }),
  lane({
    without: 'the deadline of a stream',
    from: 'now - this.#movedAt > idleMs',
    to: 'now < 0',
    cases: 'nothing moves',
  }),
  lane({
    without: 'the end of a request whose stream was reset',
    from: 'active.leave()',
    to: '',
    cases: 'client resets',
  }),
  lane({
    without: 'the reason of a body that is too short',
    from: 'else if (short)',
    to: 'else if (short && reset === null)',
    cases: 'too short',
  }),

  answer({
    without: 'the reset of an answer that broke off',
    from: "this.#stream.destroy(new Error('the answer broke off'))",
    to: 'this.#stream.end()',
    cases: 'breaks off',
  }),
  answer({
    without: 'the word to stop an upload',
    from: 'this.#stream.close(noError)',
    to: 'this.#stream.pause()',
    cases: 'before the upload ends',
  }),
  answer({
    without: 'back-pressure on downloads',
    from: 'return this.#stream.write(piece)',
    to: 'return this.#stream.write(piece) || true',
    cases: 'slowly',
  }),

  forwardH2({
    without: 'the difference between an end and a break',
    from: 'this.#settled || stream.destroyed || stream.rstCode !== 0 ||',
    to: 'this.#settled ||',
  }),
  forwardH2({ without: 'the second try', from: 'if (this.#mayRetry(code)) {', to: 'if (code < 0) {' }),
  forwardH2({
    without: 'the care for requests that may not be repeated',
    from: 'this.#status !== 0 || this.#informational > 0 || this.#request.body !== null',
    to: 'this.#status !== 0 || this.#informational > 0',
  }),
  forwardH2({
    without: 'the deadline of origins',
    from: "this.#fail(failure('origin_timeout', new Error('no answer in time')))",
    to: '',
  }),
  forwardH2({
    without: 'the end of a connection that says nothing',
    from: '// Nobody knows whether anybody is still there: the next request asks on another connection.\n    this.#session.retire()',
    to: '',
  }),
  forwardH2({
    without: 'the wait for slow readers',
    from: 'if (!this.#request.writer.write(piece)) stream.pause()',
    to: 'this.#request.writer.write(piece)',
  }),
  forwardH2({
    without: 'the wait for slow origins',
    from: 'if (!stream.destroyed && !stream.write(piece)) body.pause()',
    to: 'if (!stream.destroyed) stream.write(piece)',
  }),
  forwardH2({
    without: 'the word that a stream is given up',
    from: "stream.destroy(new Error('given up'))",
    to: 'stream.pause()',
  }),
  of('upstream/forward-h2.ts', ['hostile-h2-origins.test.ts'])({
    without: 'the difference between an end and a reset without an error',
    from: 'if (piece === null && !stream.closed) this.#whole = true',
    to: 'this.#whole = true',
    cases: 'without an error',
  }),
  trailers({
    without: 'the ban of fields that are judged in front',
    from: 'return token.test(name) && !isHopByHop(folded) && !notTrailing.test(folded) && !isDoomed(name)',
    to: 'return token.test(name) && !isDoomed(name)',
    cases: 'behind the body',
  }),
  trailers({
    without: 'the ban of accounts',
    from: '&& !isDoomed(name)',
    to: '',
    cases: 'behind the body',
  }),
  sessions({
    without: 'the reset of a connection that is cut',
    from: 'resetSocket(this.#raw)',
    to: 'this.session.destroy()',
    cases: 'cut off',
  }),
  sessions({ without: 'the reading of an end', from: "found.socket.once('end', () => session.destroy())", to: '' }),
  pools({
    without: 'the other protocol of origins',
    from: 'return this.#takesHttp1 === false ? (this.h2.find() ?? this.h2.connect()) : found',
    to: 'return found',
  }),
  grpc({ without: 'refusals of gRPC', from: 'if (this.#isGrpc) {', to: "if (this.#isGrpc && reply.reason === '') {" }),
]
