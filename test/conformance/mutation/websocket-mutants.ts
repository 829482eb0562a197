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
]
