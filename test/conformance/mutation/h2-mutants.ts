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
  head({ without: 'the joining of cookies', from: "if (name === 'cookie' && cookieAt > 0)", to: 'if (cookieAt < 0)' }),

  door({
    without: 'records of what the library refused',
    from: "this.#tell('a head that HTTP/2 itself forbids')",
    to: '',
    cases: 'a head that is refused',
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
    from: 'else if (this.#lanes.size === 0 && now - this.#idleSince > limits.keepAliveMs) this.#end()',
    to: '',
    cases: 'told to go',
  }),
  door({
    without: 'the end of all streams of a client that left',
    from: 'this.#underWay.leave()\n      this.#end()',
    to: 'this.#end()',
    cases: 'leaves with all',
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
]
