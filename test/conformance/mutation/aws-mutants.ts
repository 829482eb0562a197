/** Checks around signatures of AWS: chunks of uploads, and bodies that are made anew or hashed before they go on. */

import type { Mutant } from './mutants.ts'

type Row = Pick<Mutant, 'from' | 'to' | 'without'> & Partial<Pick<Mutant, 'cases' | 'corpus' | 'unit'>>

const chunks = (row: Row): Mutant => ({
  file: 'credentials/aws-chunks.ts',
  corpus: ['unit/credentials/aws-chunks.test.ts'],
  ...row,
})
const kind = (row: Row): Mutant => ({
  file: 'credentials/kinds/aws-sigv4.ts',
  corpus: ['unit/credentials/aws-sigv4.test.ts'],
  ...row,
})
const keys = (row: Row): Mutant => ({
  file: 'credentials/aws-keys.ts',
  corpus: ['unit/credentials/aws-keys.test.ts'],
  ...row,
})
const rewritten = (row: Row): Mutant => ({
  file: 'exchange/rewritten-body.ts',
  corpus: ['unit/exchange/rewritten-body.test.ts'],
  ...row,
})
const walk = (file: string, row: Row): Mutant => ({ file, corpus: ['integration/clients-aws.test.ts'], ...row })

export const awsMutants: readonly Mutant[] = [
  chunks({ without: 'the largest chunk', from: 'if (size > chunkBytesMax)', to: 'if (size < 0)' }),
  chunks({ without: 'a chunk that is longer than its size', from: 'chunk[this.#end - 2] !== 13 ||', to: '' }),
  chunks({ without: 'the announced length', from: 'this.#bytes > this.#upload.bytes ||', to: '' }),
  chunks({
    without: 'chunks that end early',
    from: '|| (size === 0 && this.#bytes < this.#upload.bytes)',
    to: '',
  }),
  chunks({ without: 'a body that ends early', from: "&& this.#part !== 'over'", to: '&& this.#bytes < 0' }),
  chunks({
    without: 'what follows the end',
    from: "if (this.#part === 'over') return this.#break('something follows the last chunk', at)",
    to: '',
  }),
  chunks({ without: 'a line behind the last chunk', from: "if (line !== '') return", to: 'if (line === null) return' }),
  chunks({ without: 'returns', from: "if (!this.#line.endsWith('\\r\\n'))", to: "if (this.#line === '')" }),
  chunks({
    without: 'the length of lines',
    from: 'if (this.#line.length + stop - at > lineBytesMax)',
    to: 'if (this.#line.length < 0)',
  }),
  chunks({ without: 'plain sizes', from: '^(0|[1-9a-f][0-9a-f]{0,7});', to: '^([0-9a-f]{1,8});' }),
  chunks({
    without: 'the signature of trailers',
    from: '!/^[0-9a-f]{64}$/.test(value) ||',
    to: '',
  }),
  chunks({ without: 'the trailers that were named', from: '!named.includes(lower) ||', to: '' }),
  chunks({ without: 'trailers that come once', from: '|| this.#trailers.has(lower)', to: '' }),
  chunks({ without: 'all trailers', from: '|| this.#trailers.size < named.length', to: '' }),
  chunks({ without: 'growing', from: 'Math.min(this.#end, firstBytes)', to: 'this.#end' }),
  chunks({
    without: 'the chain',
    from: 'this.#before = awsChunkSignature(this.#upload.key, this.#before, chunk',
    to: 'this.#before = awsChunkSignature(this.#upload.key, this.#upload.seed, chunk',
  }),

  keys({ without: 'the end of a role', from: 'if (lifetimeMs <= 0)', to: 'if (lifetimeMs < -1)' }),
  keys({ without: 'ends that are times', from: 'if (Number.isNaN(lifetimeMs))', to: "if (text === '')" }),
  keys({
    without: 'session tokens that are none',
    from: "if (sessionToken === null && (fields.get('sessionToken') ?? null) !== null) return null",
    to: '',
  }),
  keys({ without: 'one object for each secret', from: 'known.set(secret, keys)', to: '' }),
  keys({
    without: 'keys that stay',
    from: '/^[!-~]+$/.test(text)',
    to: "text !== ''",
  }),

  kind({ without: 'the length of all chunks', from: '!decodedLength.test(lengths[0]', to: "'' === (lengths[0]" }),
  kind({ without: 'one length', from: 'lengths.length !== 1', to: 'lengths.length === 0' }),
  kind({
    without: 'presigned chunks',
    from: "if (sent.place === 'parameter') return 'pre",
    to: "if (hash === '') return 'pre",
  }),
  kind({ without: 'x-amz-trailer', from: 'trailersOf(head.fields).length === 0', to: "head.method === ''" }),
  kind({ without: 'other payloads', from: 'hash === undefined || plainPayload.test(hash)', to: "hash !== ''" }),
  kind({ without: 'one hash', from: 'if (hashes.length > 1)', to: 'if (hashes.length > 9)' }),
  kind({ without: 'the token on the request', from: 'token === null ? hashed :', to: 'token !== null ? hashed :' }),
  kind({ without: 'the token beside a scope', from: 'token === null ? scoped :', to: 'token !== null ? scoped :' }),
  kind({
    without: 'tokens that stand alone',
    from: "if (first === undefined) return 'without a signature'",
    to: 'if (first === undefined) return null',
  }),
  kind({ without: 'the need of the body', from: '!isS3(spec, first) &&', to: "spec.region === '' &&" }),
  kind({ without: 'the hash of the body', from: 'unsigned : sha256(body)', to: 'unsigned : sha256(nothing)' }),

  rewritten({
    without: 'the room for all',
    from: 'if (more > 0 && !this.#bodies.reserve(more)) return false',
    to: '',
  }),
  rewritten({ without: 'letting go', from: 'this.#count(0)', to: '' }),
  rewritten({ without: 'the end', from: 'this.#settle(this.#rewrite.end(), done)', to: 'done()' }),
  rewritten({ without: 'the end of what is here', from: ' ?? rewrite.end()', to: '' }),

  walk('credentials/equip.ts', {
    without: 'the parts of a secret',
    from: 'presentation.parts?.(secret) ?? [secret]',
    to: '[secret]',
  }),
  walk('exchange/deliver.ts', {
    without: 'the outcome of a body that breaks',
    from: "(forwarded.end.kind === 'completed' ? null : rewritten?.problem()) ?? ",
    to: '',
  }),
  walk('exchange/deliver.ts', {
    without: 'the refusal of a body that is here',
    from: "if (rewritten?.kind === 'deny') {\n      resolve(rewritten)\n      return\n    }\n    const",
    to: 'if (rewritten?.kind === "deny") throw new Error()\n    const',
  }),
  walk('exchange/not-held.ts', {
    without: 'what is too large',
    from: 'return deny(reason, `${body} is larger than what is held`, rule)',
    to: "return deny('overloaded', '', rule)",
  }),
]
