/** Checks of what comes back: `src/credentials/redact`, and what is asked of the origin and taken from it for its sake. */

import type { Mutant } from './mutants.ts'

type Row = Pick<Mutant, 'from' | 'to' | 'without'> & Partial<Mutant>

const answers = 'integration/redact-answers.test.ts'
const refusals = 'integration/redact-refusals.test.ts'
const kinds = 'integration/redact-kinds.test.ts'
const masker = 'unit/credentials/masker.test.ts'
const writer = 'unit/exchange/redacting-writer.test.ts'

const writing = (row: Row): Mutant => ({ file: 'exchange/redacting-writer.ts', corpus: [writer], ...row })
const coding = (row: Row): Mutant => ({ file: 'exchange/content-coding.ts', corpus: [refusals], ...row })
const deliver = (row: Row): Mutant => ({ file: 'exchange/deliver.ts', corpus: [kinds], ...row })
const equip = (row: Row): Mutant => ({
  file: 'credentials/equip.ts',
  corpus: ['unit/credentials/equip.test.ts'],
  ...row,
})
const masking = (row: Row): Mutant => ({ file: 'credentials/redact/masker.ts', corpus: [masker], ...row })
const forms = (row: Row): Mutant => ({ file: 'credentials/redact/secret-forms.ts', corpus: [masker], ...row })
const sextets = (row: Row): Mutant => ({ file: 'credentials/redact/sextets.ts', corpus: [masker], ...row })
const held = (row: Row): Mutant => ({
  file: 'credentials/redact/held-bytes.ts',
  corpus: ['unit/credentials/held-bytes.test.ts'],
  ...row,
})

export const redactMutants: readonly Mutant[] = [
  writing({
    without: 'the search of the head',
    from: 'if (redactions === 0) return head',
    to: 'if (redactions >= 0) return head',
    corpus: [answers],
    cases: 'in a head',
  }),
  writing({
    without: 'the search of the reason phrase',
    from: 'reason: mask(head.reason), ',
    to: '',
    corpus: [answers],
    cases: 'in a head',
  }),
  writing({
    without: 'the search of heads before the answer',
    from: 'this.#options.inner.interim(this.masked(head))',
    to: 'this.#options.inner.interim(head)',
    corpus: [kinds],
    cases: 'heads before',
  }),
  deliver({
    without: 'the search of the head of a switch',
    from: 'redacting?.masked(switched.head) ?? switched.head',
    to: 'switched.head',
    cases: 'WebSocket',
  }),
  writing({
    without: 'the undoing of codings',
    from: 'if (!bodiless) this.#coding = searchable(head, this.#options.parts)',
    to: '',
    corpus: [answers],
    cases: 'coded as',
  }),
  writing({
    without: 'the answers that have no body',
    from: "const bodiless = method === 'HEAD' || head.status === 204 || head.status === 304",
    to: 'const bodiless = method === null',
    corpus: [writer],
  }),
  writing({
    without: 'the refusal of parts that nobody asked for',
    from: "if (status === 206 && !parts) throw refusal('it is a part that was not asked for')",
    to: '',
  }),
  writing({
    without: 'the refusal of parts of something coded',
    from: "if (coding !== null && status === 206) throw refusal('it is a part of something coded')",
    to: '',
  }),
  writing({
    without: 'the refusal of codings that cannot be undone',
    from: "if (coding === 'unknown') throw refusal('its content coding is not one that we undo')",
    to: "if (coding === 'unknown') return null",
  }),
  writing({
    without: 'the refusal of compressed messages',
    from: "fieldValues(fields, 'grpc-encoding')",
    to: "fieldValues(fields, 'grpc')",
    corpus: [refusals],
    cases: 'compressed messages',
  }),
  writing({
    without: 'the end of bombs',
    from: 'if (isBomb(this.#codedBytes, this.#decodedBytes))',
    to: 'if (this.#decodedBytes < 0)',
    cases: 'beyond all measure',
  }),
  writing({
    without: 'the refusal of what follows coded data at once',
    from: 'if (this.#ending !== null && decoder.bytesWritten === this.#codedBytes) this.#ending()',
    to: 'if (this.#ending !== null) this.#ending()',
    cases: 'more behind its end',
  }),
  writing({
    without: 'the failure of a decoder',
    from: "decoder.on('error', (error) => this.#fail(error))",
    to: "decoder.on('error', () => undefined)",
    corpus: [refusals],
    cases: 'broken off',
  }),
  writing({
    without: 'the wait for a client that does not read',
    from: 'else if (!this.#pass(bytes)) decoder.pause()',
    to: 'else this.#pass(bytes)',
    cases: 'waits while the client does',
  }),
  writing({
    without: 'what was held back, at the end',
    from: 'if (rest.length > 0) inner.write(rest)',
    to: '',
  }),
  writing({
    without: 'the fields that speak of coded bytes taken off',
    from: 'if (ofCodedBytes.has(lower)) continue',
    to: '',
    corpus: [answers],
    cases: 'coded as',
  }),
  writing({
    without: 'the weakness of a tag of other bytes',
    from: "lower === 'etag' && value.startsWith('\"') ? `W/${value}` : value",
    to: 'value',
    corpus: [answers],
    cases: 'coded as',
  }),
  writing({
    without: 'word of what was masked',
    from: 'this.#options.onMasked(places)',
    to: '',
  }),
  coding({
    without: 'the refusal of codings on top of each other',
    from: "return second === undefined ? (codings.get(first) ?? 'unknown') : 'unknown'",
    to: "return codings.get(first) ?? 'unknown'",
    cases: 'coded twice',
  }),
  coding({
    without: 'the bound of how much may come of little',
    from: 'decodedBytes > ratioFromBytes && decodedBytes > codedBytes * ratioMax',
    to: 'decodedBytes > 2 ** 50 && decodedBytes > codedBytes * ratioMax',
    corpus: [writer],
    cases: 'a bomb',
  }),
  deliver({
    without: 'the search of answers',
    from: 'secrets.length === 0',
    to: 'secrets.length >= 0',
    corpus: [answers],
    cases: 'in a head',
  }),
  deliver({
    without: 'the rule on parts',
    from: 'parts: permit.ranges',
    to: 'parts: true',
    corpus: [refusals],
    cases: 'part',
  }),
  deliver({
    without: 'the end of sessions whose secrets come back too often',
    from: "rooms.endSession(live, 'echoes')",
    to: 'void 0',
    cases: 'too often',
  }),
  deliver({
    without: 'a count over the answers of a session',
    from: 'live.counters.redactions += places',
    to: 'live.counters.redactions = places',
    cases: 'too often',
  }),
  writing({
    without: 'digests that may be wrong',
    from: 'if (!fields.some((name, i) => i % 2 === 0 && isDigest(name))) return head',
    to: 'if (fields.length >= 0) return head',
    corpus: ['integration/redact-sideways.test.ts'],
  }),
  writing({
    without: 'digests behind the body',
    from: "withoutDigests({ status: 0, reason: '', fields: trailers, bytes: 0 })",
    to: "({ status: 0, reason: '', fields: trailers, bytes: 0 })",
    corpus: ['integration/redact-sideways.test.ts'],
  }),
  {
    file: 'credentials/neighbour-secrets.ts',
    without: 'what others put on',
    from: 'return [...new Set([...own, ...theirs])]',
    to: 'void theirs; return own',
    corpus: ['integration/redact-sideways.test.ts'],
  },
  {
    file: 'credentials/neighbour-secrets.ts',
    without: 'the host of others',
    from: '.filter(({ hosts }) => hosts.some((pattern) => matchesPattern(pattern, host)))',
    to: '',
    corpus: ['unit/credentials/neighbour-secrets.test.ts'],
  },
  equip({
    without: 'the secret to look for',
    from: '? withNeighbours(credential, head.authority.host, presentation.parts?.(secret) ?? [secret])',
    to: '? []',
  }),
  equip({
    without: 'whole answers asked for',
    from: "ranges ? 'parts' : 'whole'",
    to: "'parts'",
  }),
  equip({
    without: 'uncoded answers asked for',
    from: "ranges ? 'parts' : 'whole'",
    to: "'any'",
  }),
  {
    file: 'policy/decide-request.ts',
    without: 'the strictest rule on parts',
    from: 'allows.every((one) => one.credential === null || one.ranges)',
    to: 'allows.some((one) => one.credential === null || one.ranges)',
    corpus: ['unit/policy/decide.test.ts'],
    cases: 'in parts',
  },
  {
    file: 'policy/parse-rule.ts',
    without: 'the complaint about parts where there is no credential',
    from: "if (rule.action === 'allow' && rule.ranges && rule.credential === null)",
    to: 'if (rule.ranges && rule.credential === undefined)',
    corpus: ['unit/policy/parse-policy.test.ts'],
    cases: 'ranges',
  },
  {
    file: 'net/response-head.ts',
    without: 'the refusal of codings of the transfer',
    from: "if (lower === 'transfer-encoding' && value.trim().toLowerCase() !== 'chunked') return null",
    to: '',
    corpus: ['unit/net/response-head.test.ts'],
  },
  masking({
    without: 'the look for base64 in a whole text',
    from: ' || sextets.mayBeIn(bytes, text.length)',
    to: '',
  }),
  masking({
    without: 'the look for escapes in a whole text',
    from: 'wakesAny(wakes, bytes, text.length) || ',
    to: '',
  }),
  masking({
    without: 'the tail that is held',
    from: 'this.#held.end - this.#tailBytes)',
    to: 'this.#held.end)',
  }),
  masking({
    without: 'the lines that are let go',
    from: 'lineEnd === 0 ? 0 : base + lineEnd',
    to: '0',
    cases: 'end of their line',
  }),
  masking({
    without: 'what the end of the text decides',
    from: 'for (const scan of this.#scans) scan.finish(this.#held.end)',
    to: '',
  }),
  masking({
    without: 'the other secrets',
    from: 'for (const scan of this.#scans) scan.read(chunk, base)',
    to: 'this.#scans[0]?.read(chunk, base)',
  }),
  masking({
    without: 'base64',
    from: 'this.#sextets.scan(chunk, base)',
    to: '',
  }),
  ...['percent', 'json', 'html'].map((form) =>
    forms({ without: `the form ${form}`, from: `escapeForms.${form}`, to: 'escapeForms.plain' }),
  ),
  forms({
    without: 'hex',
    from: '{ needle: new Needle(Uint8Array.from(hex)), form: escapeForms.plain, fold: lowerCase },',
    to: '',
  }),
  forms({
    without: 'hex in upper case',
    from: 'form: escapeForms.plain, fold: lowerCase',
    to: 'form: escapeForms.plain, fold: asIs',
  }),
  forms({
    without: 'a plus for a space',
    from: 'if (secret.includes(0x20)) forms.push(escapeForms.form)',
    to: '',
  }),
  forms({
    without: 'room for escapes in the tail',
    from: '(secret.length + 1) * escapeBytesMax',
    to: 'secret.length + 1',
  }),
  sextets({
    without: 'two of the three alignments',
    from: '[0, 1, 2].flatMap',
    to: '[0].flatMap',
  }),
  sextets({
    without: 'the other alphabet',
    from: 'sextetOf[0x5f] = 63',
    to: '',
  }),
  sextets({
    without: 'the character at its end',
    from: 'if (after) this.#open =',
    to: 'if (after && !after) this.#open =',
  }),
  sextets({
    without: 'the character at its beginning',
    from: 'const start = before &&',
    to: 'const start = before && !before &&',
  }),
  held({
    without: 'the pieces before the last',
    from: 'if (piece.start <= start) return',
    to: 'return',
  }),
  held({
    without: 'the part of a place that lies before the last one',
    from: 'this.#fill(start, Math.min(end, this.#maskedFrom - 1))',
    to: '',
  }),
]
