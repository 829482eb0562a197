/** Checks of the walk: `src/exchange`, the door before it and the upstream behind it. */

import type { Mutant } from './mutants.ts'

type Row = Pick<Mutant, 'cases' | 'from' | 'to' | 'without'> & Partial<Pick<Mutant, 'corpus' | 'unit'>>

const request = (row: Row): Mutant => ({ file: 'exchange/handle-request.ts', corpus: ['policy', 'hosts'], ...row })
const connect = (row: Row): Mutant => ({ file: 'exchange/handle-connect.ts', corpus: ['hosts', 'policy'], ...row })
const httpConnect = (row: Row): Mutant => ({ file: 'exchange/http-connect.ts', corpus: ['hosts', 'policy'], ...row })
const voice = (row: Row): Mutant => ({ file: 'exchange/connect-voice.ts', corpus: ['tunnels'], ...row })
const socks = (row: Row): Mutant => ({ file: 'listeners/socks-reader.ts', corpus: ['socks'], ...row })
const intercepted = (row: Row): Mutant => ({ file: 'exchange/open-intercepted.ts', corpus: ['tunnels'], ...row })
const tunnel = (row: Row): Mutant => ({ file: 'exchange/open-tunnel.ts', corpus: ['tunnels'], ...row })
const firstBytes = (row: Row): Mutant => ({ file: 'exchange/first-bytes.ts', corpus: ['tunnels'], ...row })
const deliver = (row: Row): Mutant => ({ file: 'exchange/deliver.ts', corpus: ['addresses'], ...row })
const pools = (row: Row): Mutant => ({ file: 'upstream/origin-pools.ts', corpus: ['upstream-faults.test.ts'], ...row })
const originTls = (row: Row): Mutant => ({
  file: 'upstream/origin-tls.ts',
  corpus: ['upstream-faults.test.ts'],
  ...row,
})
const forward = (row: Row): Mutant => ({ file: 'upstream/forward.ts', corpus: ['responses'], ...row })

const parent = (row: Row): Mutant => ({ file: 'upstream/parent.ts', corpus: ['hostile-parents.test.ts'], ...row })
const parentProxy = (row: Row): Mutant => ({
  file: 'gateway/parent-proxy.ts',
  corpus: ['integration/parent-proxy.test.ts'],
  ...row,
})

export const exchangeMutants: readonly Mutant[] = [
  request({
    without: 'the refusal of heads that are none',
    from: "if ('kind' in head) return deny(head.reason, head.detail)",
    to: "if ('kind' in head) return { kind: 'completed', status: 200 }",
    cases: 'HOST-24',
  }),
  request({
    without: 'identity',
    from: "if (who.kind === 'deny') return who\n  if (!carried || !exchange.enter(who.permit)) return tooManyConnections(who.permit)\n  if (refusal",
    to: "if (who.kind === 'deny') return { kind: 'completed', status: 200 }\n  if (refusal",
    cases: 'SES-',
  }),
  request({
    without: 'the refusal of the tunnel',
    from: 'if (refusal !== null) return refusal',
    to: '',
    corpus: ['tunnels'],
  }),
  request({
    without: 'the decision on the host',
    from: "if (where.kind === 'deny') return where\n  facts",
    to: "if (where.kind === 'deny') return { kind: 'completed', status: 200 }\n  facts",
    cases: 'POL-0',
  }),
  request({
    without: 'the decision on the request',
    from: "if (what.kind === 'deny') return what",
    to: "if (what.kind === 'deny') return { kind: 'completed', status: 200 }",
    cases: 'POL-2',
  }),
  request({
    without: "the tunnel's own session",
    from: 'if (bound === null) {',
    to: 'if (bound === null || fields.length > 0) {',
    cases: 'SES-04',
  }),
  httpConnect({
    without: 'the refusal of CONNECT in a tunnel',
    from: "if (connection.start.place.kind === 'tunnel') return deny('malformed_request', 'CONNECT inside a tunnel')",
    to: '',
    cases: 'TUN-07',
  }),
  httpConnect({
    without: 'the grammar of targets',
    from: "if (authority === null) return deny('malformed_request', 'CONNECT target is not host:port')",
    to: "if (authority === null) return { kind: 'deny', reason: 'host_not_allowed', detail: '', rule: null }",
    cases: 'HOST-',
  }),
  httpConnect({
    without: 'the fields of CONNECT',
    from: 'return problem === null ? authority : deny(problem.reason, problem.detail)',
    to: 'void problem\n  return authority',
    cases: 'HOST-25',
  }),
  connect({
    without: 'identity of a CONNECT',
    from: "if (who.kind === 'deny') return who\n  if (!carried) return tooManyConnections(who.permit)\n  if (!rooms",
    to: "if (who.kind === 'deny') return { kind: 'completed', status: 200 }\n  if (!rooms",
    corpus: ['tunnels'],
  }),
  connect({
    without: 'the decision on the host of CONNECT',
    from: "if (where.kind === 'deny') return tellDenied(rooms, connect, live, authority, where)",
    to: "if (where.kind === 'deny') return { kind: 'completed', status: 200 }",
    cases: 'POL-0',
  }),
  voice({
    without: 'the end of a connection whose next bytes came early',
    from: '|| early.length > 0 ||',
    to: '||',
    cases: 'TUN-1[29]',
  }),

  socks({
    without: 'proof before the request',
    from: "if (who.kind === 'deny') {",
    to: "if (who.kind === 'deny' && yes.length === 0) {",
  }),
  socks({
    without: 'the refusal of messages that are none',
    from: "this.#refuse(deny('malformed_request', read.detail), read.reply)",
    to: '',
  }),
  socks({
    without: 'the deadline of the handshake',
    from: "this.#connection.onHeadTimeout = () => this.#unfinished('the SOCKS handshake did not end in time')",
    to: '',
  }),
  socks({
    without: 'the end of a handshake that was left',
    from: "stream.once('end', this.#onEnd)",
    to: '',
  }),
  socks({
    without: 'credentials before anything else',
    from: 'if (offered.includes(socksMethods.credentials) && !(bare && listenerSession !== null)) {',
    to: 'if (offered.includes(socksMethods.credentials) && !bare) {',
  }),

  intercepted({
    without: 'the server name',
    from: 'const mismatch = refusal ?? judgeServerName(first.serverName, authority)',
    to: 'const mismatch = refusal',
    cases: 'TUN-0|TLS client',
  }),
  intercepted({
    without: 'the refusal of no server name',
    from: "return authority.host.ip === null ? deny('authority_mismatch', 'no server name in the ClientHello') : null",
    to: 'return null',
    cases: 'TUN-03|TLS client',
  }),
  intercepted({
    without: 'the refusal of a final dot',
    from: "const host = serverName.endsWith('.') ? null : parseHost(serverName)",
    to: 'const host = parseHost(serverName)',
    cases: 'TUN-04',
  }),
  intercepted({
    without: 'the comparison of names',
    from: 'host.ip === null && host.name === authority.host.name',
    to: 'host.ip === null',
    cases: 'TUN-0|TLS client',
  }),
  intercepted({
    without: 'the end of opaque tunnels',
    from: "return told(refusal ?? deny('opaque_tunnel', first.detail))",
    to: "return told(refusal ?? { kind: 'abandoned', detail: first.detail })",
    cases: 'TUN-09|TUN-10',
  }),
  tunnel({
    without: 'the judgement of addresses',
    from: "if (address.kind === 'deny') return address",
    to: "if (address.kind === 'deny') return { kind: 'completed', status: 200 }",
    corpus: ['addresses'],
    cases: 'IP-17t|SES-11c',
  }),
  tunnel({
    without: 'TLS in tunnels',
    from: "if (first.kind !== 'tls') {",
    to: "if (first.kind === 'gone') {",
    cases: 'TUN-09|TUN-10',
  }),
  tunnel({
    without: 'the server name of tunnels',
    from: 'judgeServerName(first.serverName, authority) ??\n    judgeAgain(rooms, live, address.permit) ??',
    to: 'judgeAgain(rooms, live, address.permit) ??',
    cases: 'TUN-0|TLS client',
  }),
  firstBytes({
    without: 'the list of methods',
    from: 'if (!couldBe) return',
    to: "if (token === '?') return",
    cases: 'TUN-09',
  }),
  firstBytes({
    without: 'whole tokens',
    from: 'known.startsWith(token) : known === token',
    to: 'known.startsWith(token) : token.startsWith(known)',
    cases: 'TUN-09',
  }),
  firstBytes({
    without: 'hellos that are none',
    from: "return { kind: 'opaque', detail: hello.detail }",
    to: "return { kind: 'tls', bytes, serverName: 'good.test' }",
    cases: 'TUN-10',
  }),
  firstBytes({ without: 'the deadline of silence', from: '}, timeoutMs)', to: '}, 2 ** 30)', cases: 'RES-03' }),

  deliver({
    without: 'the refusal of handshakes that are none',
    from: "if (handshake?.kind === 'problem')",
    to: "if (permit.head.path === '')",
    corpus: ['policy'],
    cases: 'WS-02',
  }),
  deliver({
    without: 'the proof of a switch',
    from: 'problem: (fields) => switchProblem(handshake, fields)',
    to: 'problem: () => null',
    corpus: ['responses'],
    cases: 'WS-02s',
  }),
  deliver({
    without: 'the refusal to equip',
    from: "if (equipped.kind !== 'equipped') return equipped",
    to: "if (equipped.kind !== 'equipped') return { kind: 'completed', status: 200 }",
    corpus: ['fields'],
    cases: 'SEC-19',
  }),
  deliver({
    without: 'the judgement of addresses',
    from: "if (address.kind === 'deny') return address",
    to: "if (address.kind === 'deny') return { kind: 'completed', status: 200 }",
    cases: 'IP-',
  }),

  originTls({
    without: 'verification',
    from: 'rejectUnauthorized: true',
    to: 'rejectUnauthorized: false',
    cases: 'certificate',
  }),
  originTls({
    without: 'the name in the certificate',
    from: 'checkServerIdentity: (_name, certificate) => tls.checkServerIdentity(host.name, certificate)',
    to: 'checkServerIdentity: () => undefined',
    cases: 'wrong_name',
  }),
  pools({
    without: 'TLS 1.2 at least',
    from: "minVersion: 'TLSv1.2'",
    to: "minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0'",
    cases: 'TLSv1',
  }),
  originTls({
    without: 'the deadline of handshakes',
    from: 'options.timeoutMs)',
    to: '2 ** 30)',
    cases: 'never says a word',
  }),
  forward({
    without: 'the bound of 1xx',
    from: 'this.#informational > informationalMax',
    to: 'this.#informational > 2 ** 30',
    cases: 'RSP-04',
  }),
  forward({
    without: 'the end of a truncated answer',
    from: 'if (this.#status !== 0) this.#request.writer.abort()',
    to: 'if (this.#status !== 0) this.#request.writer.end()',
    cases: 'RSP-06',
  }),
  forward({
    without: 'the deadline of the head of an answer',
    from: '> this.#request.pool.headTimeoutMs) {',
    to: '> 2 ** 30) {',
    corpus: ['upstream-faults.test.ts'],
    cases: 'never says',
  }),
  forward({
    without: 'the time that an upload takes',
    from: 'if (silent || this.#bytesUp !== this.#bytesSeen) {',
    to: 'if (this.#bytesUp < this.#bytesSeen) {',
    corpus: ['upstream-faults.test.ts'],
    cases: 'something moves',
  }),
  forward({
    without: 'the time that an answer takes',
    from: 'if (this.#sentAt === null || this.#answeredAt !== null || this.#settled) return',
    to: 'if (this.#sentAt === null || this.#settled) return',
    corpus: ['upstream-faults.test.ts'],
    cases: 'something moves',
  }),
  forward({
    without: 'retries only of what a reused connection lost',
    from: 'this.#request.pool.dials !== this.#dialsBefore ||',
    to: '',
    cases: 'RSP-0',
  }),
  forward({
    without: 'retries only of what may be repeated',
    from: 'return repeatable.has(this.#request.head.method) &&',
    to: 'return',
    cases: 'reused',
  }),
  forward({
    without: 'the second try',
    from: 'if (this.#mayRetry(error)) {',
    to: 'if (this.#mayRetry(error) && this.#retried) {',
    cases: 'reused',
  }),
  forward({
    without: 'the length we were told',
    from: "if (head.body.kind === 'length') headers.push('content-length', String(head.body.length))",
    to: '',
    corpus: ['framing'],
    cases: 'FRM-27|FRM-26',
  }),
  parent({
    without: 'the pin of addresses',
    from: ' && !pinned',
    to: '',
    corpus: ['integration/parent-proxy.test.ts'],
  }),
  parent({
    without: 'the exceptions',
    from: '!parent.isExcepted(authority.host, ip)',
    to: "authority.text !== '' || ip.text !== ''",
    corpus: ['integration/parent-proxy.test.ts'],
  }),
  parent({ without: 'the bound of its head', from: 'if (length > headBytesMax)', to: 'if (length < 0)' }),
  parent({
    without: 'the deadline of its answer',
    from: "finish({ code: 'parent_timeout', detail: `no answer in ${Math.round(timeoutMs)} ms` })",
    to: 'undefined',
  }),
  parent({
    without: 'the refusal of what it says for the origin',
    from: 'return behind === 0',
    to: 'return behind >= 0',
    cases: 'speaks for the origin',
  }),
  parent({
    without: 'the end of a connection that leads nowhere',
    from: 'resetSocket(secured.raw)',
    to: '',
  }),
  parent({
    without: 'the refusal of statuses of more digits',
    from: '(?: |$)/.exec(line)',
    to: '/.exec(line)',
    cases: 'four digits',
  }),
  parentProxy({
    without: 'the place it has among those nobody reaches',
    from: 'surroundings.places.add(proxy.authority)',
    to: '',
    cases: 'no sandbox reaches',
  }),
  parentProxy({
    without: 'the refusal of our own doors',
    from: 'decideAddress(host.permit, answer.addresses, isDoor)',
    to: 'decideAddress(host.permit, answer.addresses, () => isDoor === null)',
    corpus: ['hostile-parents.test.ts'],
    cases: 'door of our own',
  }),
  {
    file: 'upstream/dial.ts',
    without: 'the end of asking where the parent refuses',
    from: "if (attempt.code.startsWith('parent_')) break",
    to: '',
    corpus: ['hostile-parents.test.ts'],
    cases: 'not asked for the next',
  },
  {
    file: 'sessions/identify.ts',
    without: "the client's certificate beside its token",
    from: 'if (certificate !== null && certificate !== peer)',
    to: "if (certificate === '')",
    corpus: ['unit/sessions/identify.test.ts'],
  },
  {
    file: 'sessions/identify.ts',
    without: 'the end of looking where a certificate names nobody',
    from: 'if (place.peer !== null) {',
    to: 'if (place.peer !== null && book.tokenless.byCertificate(place.peer) !== null) {',
    corpus: ['unit/sessions/identify.test.ts'],
  },
  {
    file: 'tls/peer-name.ts',
    without: 'the refusal of two URIs',
    from: 'uris.length === 1 && spiffeId',
    to: 'spiffeId',
    corpus: ['unit/tls/peer-name.test.ts'],
  },
  {
    file: 'tls/peer-name.ts',
    without: 'the refusal of names that Node quoted',
    from: "names.includes('\"') || names.length > bytesMax",
    to: 'names.length > bytesMax',
    corpus: ['unit/tls/peer-name.test.ts'],
  },
  {
    file: 'tls/proxy-door.ts',
    without: 'the CA of clients',
    from: 'requestCert: asks',
    to: 'requestCert: false',
    corpus: ['integration/doors-tls.test.ts'],
  },
  {
    file: 'listeners/proxy-listener.ts',
    without: 'the list of balancers',
    from: 'balancers.length > 0 && isBalancer(balancers, socket.remoteAddress)',
    to: 'balancers.length > 0',
    corpus: ['integration/doors-balancer.test.ts'],
    cases: 'no balancer',
  },
  {
    file: 'listeners/balancer-header.ts',
    without: 'the deadline of the header',
    from: "() => fail('the header of the balancer did not end in time')",
    to: '() => undefined',
    corpus: ['integration/doors-balancer.test.ts'],
    cases: 'silence|half',
  },
  {
    file: 'gateway/session-doors.ts',
    without: 'the end of a door with its session',
    from: 'session.open.add(this)\n  }\n\n  /** Which',
    to: '}\n\n  /** Which',
    corpus: ['integration/session-doors.test.ts'],
  },
  {
    file: 'gateway/session-doors.ts',
    without: 'the place among our own doors',
    from: "if (typeof listener.bound === 'object') options.doors.push(listener.bound)",
    to: '',
    corpus: ['integration/session-doors.test.ts'],
  },
  {
    file: 'control/routes/session-doors.ts',
    without: 'the labels of the caller',
    from: 'session !== undefined && isVisible(labels, session.current.labels)',
    to: 'session !== undefined && labels !== null',
    corpus: ['integration/session-doors.test.ts'],
  },
]
