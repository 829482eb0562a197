/** Checks of what comes back on a WebSocket that a credential was put on. */

import type { Mutant } from './mutants.ts'

const frames = (row: Pick<Mutant, 'cases' | 'from' | 'to' | 'without'>): Mutant => ({
  file: 'exchange/redacting-frames.ts',
  corpus: ['unit/exchange/redacting-frames.test.ts'],
  ...row,
})
const open = (row: Pick<Mutant, 'cases' | 'from' | 'to' | 'without'>): Mutant => ({
  file: 'exchange/open-websocket.ts',
  corpus: ['integration/websocket-redaction.test.ts'],
  ...row,
})
const origins = ['integration/h2-websocket-origins.test.ts']
const leave = (row: Pick<Mutant, 'cases' | 'from' | 'to' | 'without'>): Mutant => ({
  file: 'upstream/leave-http.ts',
  corpus: origins,
  ...row,
})

export const webSocketMutants: readonly Mutant[] = [
  frames({
    without: 'the refusal of extensions',
    from: 'if (reserved) return',
    to: 'if (false) return',
    cases: 'of an extension',
  }),
  frames({
    without: 'the refusal of masks',
    from: 'if (masked) return',
    to: 'if (false) return',
    cases: 'frame masked',
  }),
  frames({
    without: 'the refusal of unknown frames',
    from: 'if (!known.has(opcode)) return',
    to: 'if (false) return',
    cases: 'of a kind that is none',
  }),
  frames({
    without: 'the refusal of frames without measure',
    from: 'payloadBytes > Number.MAX_SAFE_INTEGER',
    to: 'payloadBytes < 0',
    cases: 'longer than can be counted',
  }),
  frames({
    without: 'the bound of control frames',
    from: 'payloadBytes <= controlBytesMax',
    to: 'payloadBytes >= 0',
    cases: 'of control that is long',
  }),
  frames({
    without: 'the order of frames in a message',
    from: 'return goesOn === (this.#message !== null) ? null :',
    to: 'return goesOn !== null ? null :',
    cases: 'within a message',
  }),
  frames({
    without: 'the search of control frames',
    from: 'this.#control = this.#newPart()',
    to: 'this.#control = { masker: new Masker([]), pieces: [] }',
    cases: 'in a ping',
  }),
  frames({
    without: 'one search for all frames of a message',
    from: 'const part = this.#control ?? this.#message',
    to: 'const part = this.#control ?? { masker: new Masker(this.#secrets), pieces: this.#message?.pieces ?? [] }',
    cases: 'over two frames',
  }),
  open({
    without: 'the search of messages',
    from: 'search === null ? null : new RedactingFrames(search.secrets)',
    to: 'search === null ? null : new RedactingFrames([])',
    cases: 'does not come back',
  }),
  open({
    without: 'the end of what cannot be searched',
    from: 'if (redacting.broken !== null) void open.end(',
    to: 'if (redacting.redactions < 0) void open.end(',
    cases: 'cannot be searched',
  }),
  leave({
    without: 'the judgement of a yes of HTTP/2',
    from: 'return upgrade.problem(proven) ?? head ??',
    to: 'return head ??',
    cases: 'agreed to with',
  }),
  leave({
    without: 'the refusal of a yes that is an end',
    from: 'if (ended) return',
    to: 'if (false) return',
    cases: 'the end of its stream',
  }),
  leave({
    without: 'the difference between the end and the reset of a WebSocket',
    from: 'if (whole) return push(null)',
    to: 'if (whole || stream.closed) return push(null)',
    cases: 'that the origin resets without',
  }),
  {
    file: 'upstream/tunnel.ts',
    without: 'the end of a stream that was reset behind its last word',
    from: ' || wasAborted(socket)',
    to: '',
    corpus: origins,
    cases: 'behind its own last word',
  },
  {
    file: 'upstream/h2-sessions.ts',
    without: "the origin's word that streams may leave HTTP",
    from: 'if (this.session.remoteSettings.enableConnectProtocol === true) return null',
    to: 'if (!this.session.destroyed) return null',
    corpus: origins,
    cases: 'fails in words',
  },
  {
    file: 'upstream/forward-h2.ts',
    without: 'the wait for SETTINGS',
    from: 'if (this.#request.upgrade === null) this.#send(session)',
    to: 'if (this.#request.body === null) this.#send(session)',
    corpus: ['hostile-h2-origins.test.ts'],
    cases: 'WebSocket handshake',
  },
  {
    file: 'upstream/h2-fields.ts',
    without: 'the silence about the key',
    from: "if (name !== 'sec-websocket-key') list",
    to: 'list',
    corpus: origins,
    cases: 'extended CONNECT',
  },
  {
    file: 'net/websocket-handshake.ts',
    without: 'one proof, of ours',
    from: "!== 'sec-websocket-accept')",
    to: "!== '')",
    corpus: ['hostile-h2-origins.test.ts'],
    cases: 'a proof of its own',
  },
  {
    file: 'exchange/open-websocket.ts',
    without: "the reset of the origin's side",
    from: 'resetOrigin: origin.reset,',
    to: 'resetOrigin: () => undefined,',
    corpus: origins,
    cases: 'by CANCEL and alone',
  },
]
