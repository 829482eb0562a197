import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AwsChunks, chunkBytesMax } from '../../../src/credentials/aws-chunks.ts'
import { awsKey, awsSignature } from '../../../src/credentials/aws-signature.ts'
import { chunkedBody, readChunked } from '../../support/aws-chunked.ts'

const ours = {
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  time: '20130524T000000Z',
  region: 'us-east-1',
}
const theirs = { ...ours, secretAccessKey: 'none of ours' }
const { secretAccessKey: secretKey, time, region } = ours
const key = awsKey({ secretKey, time, region, service: 's3' })
const seed = '0'.repeat(64)
const checksum = ['x-amz-checksum-crc32c', 'sOO8/Q=='] as const

/** What goes on, or what is wrong. `cuts`: how long the pieces are that the body comes in, the last one for all of the rest. */
function resign(
  body: Buffer,
  bytes: number,
  trailers: readonly string[] | null,
  from = seed,
  cuts: readonly number[] = [],
) {
  const chunks = new AwsChunks({ key, seed: from, bytes, trailers })
  const passed: Buffer[] = []
  let held = 0
  for (let at = 0, i = 0; at < body.length; i++) {
    const end = Math.min(body.length, at + (cuts[Math.min(i, cuts.length - 1)] ?? body.length))
    const problem = chunks.take(body.subarray(at, end), (piece) => passed.push(piece))
    held = Math.max(held, chunks.heldBytes)
    if (problem !== null) return { problem, passed: Buffer.concat(passed), held }
    at = end
  }
  return { problem: chunks.end(), passed: Buffer.concat(passed), held }
}

describe('the example of the manual of S3', () => {
  const data = [Buffer.alloc(65_536, 'a'), Buffer.alloc(1024, 'a')]
  const fields = ['x-amz-date', time, 'x-amz-storage-class', 'REDUCED_REDUNDANCY', 'content-encoding', 'aws-chunked']
  const request = (payloadHash: string, more: readonly string[]) => {
    const all = [...fields, 'x-amz-content-sha256', payloadHash, 'x-amz-decoded-content-length', '66560', ...more]
    const names = all.filter((_, i) => i % 2 === 0)
    const head = { method: 'PUT', target: '/examplebucket/chunkObject.txt', host: 's3.amazonaws.com', fields: all }
    return awsSignature(
      { ...head, body: { kind: 'chunked' } },
      { secretKey, time, region, service: 's3', payloadHash, signedHeaders: [...names, 'host'].sort() },
    )
  }

  test('chunks, one on top of the other', () => {
    const from = request('STREAMING-AWS4-HMAC-SHA256-PAYLOAD', ['content-length', '66824'])
    expect(from).toBe('4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9')
    const { problem, passed } = resign(chunkedBody(theirs, seed, data, null), 66_560, null, from)
    expect(problem).toBeNull()
    expect(passed.length).toBe(66_824)
    expect(passed.toString().replaceAll(/a{1024,}/g, 'a…')).toBe(
      '10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\na…\r\n' +
        '400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\na…\r\n' +
        '0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n',
    )
  })

  test('chunks and a trailer', () => {
    const from = request('STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER', ['x-amz-trailer', checksum[0]])
    expect(from).toBe('106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e')
    const { problem, passed } = resign(chunkedBody(theirs, seed, data, [checksum]), 66_560, [checksum[0]], from)
    expect(problem).toBeNull()
    expect(passed.toString().replaceAll(/a{1024,}/g, 'a…')).toBe(
      '10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\na…\r\n' +
        '400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\na…\r\n' +
        '0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n' +
        'x-amz-checksum-crc32c:sOO8/Q==\r\n' +
        'x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n',
    )
  })
})

test('whatever the chunks and however they come, what goes on is as long, and right for who has the secret', () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((some) => Buffer.from(some))
  const trailers = fc.constantFrom(null, [], [checksum], [checksum, ['x-amz-a', 'b'] as const])
  const cuts = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 9 })
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 5 }), trailers, cuts, (data, behind, pieces) => {
      const body = chunkedBody(theirs, seed, data, behind)
      const whole = Buffer.concat(data)
      const { problem, passed } = resign(body, whole.length, behind?.map(([name]) => name) ?? null, seed, pieces)
      expect(problem).toBeNull()
      expect(passed.length).toBe(body.length)
      expect(readChunked(ours, seed, passed)).toEqual(whole)
    }),
    { numRuns: 200 },
  )
})

test('a large chunk costs what has come of it, and its size at most', () => {
  const body = chunkedBody(theirs, seed, [Buffer.alloc(chunkBytesMax, 'x')], null)
  expect(resign(body.subarray(0, 1000), chunkBytesMax, null).held).toBeLessThanOrEqual(128 * 1024)
  const { problem, held } = resign(body, chunkBytesMax, null, seed, [10_000])
  expect(problem).toBeNull()
  expect(held).toBeLessThan(chunkBytesMax + 256)
})

describe('what breaks it, and how much goes on before', () => {
  const signature = '0'.repeat(64)
  const one = `5;chunk-signature=${signature}\r\nhello\r\n`
  const last = `0;chunk-signature=${signature}\r\n`
  const trailer = 'x-amz-checksum-crc32c:sOO8/Q==\r\n'
  const signed = `x-amz-trailer-signature:${signature}\r\n`
  const size = 'a chunk begins without size and signature'
  const length = 'the chunks are not as long as x-amz-decoded-content-length says'
  const missing = 'the trailers and their signature are not all there'
  const unnamed = 'a trailer that x-amz-trailer does not name'
  const over = 'something follows the last chunk'
  const early = 'the body ends before its last chunk'

  test.each<readonly [body: string, problem: string, passed: number]>([
    ['', early, 0],
    [one, early, one.length],
    [`${one}${last}`, early, one.length + last.length],
    [one.slice(0, -3), early, 0],
    ['5\r\nhello\r\n', size, 0],
    [one.replace('5;', '05;'), size, 0],
    [one.replace('5;', '-5;'), size, 0],
    [one.replace('5;', '0x5;'), size, 0],
    [one.replace('5;', '5 ;'), size, 0],
    [one.replace('5;', '5;a=b;'), size, 0],
    [one.replace('\r\n', 'x\r\n'), size, 0],
    [one.replace('000', '00'), size, 0],
    [one.replace('000', '00g'), size, 0],
    [one.replace('5;', '123456789;'), size, 0],
    [one.replace('\r\n', '\n'), 'a line between the chunks ends without a return', 0],
    ['5'.repeat(1025), 'a line between the chunks is too long', 0],
    [`5;${'x'.repeat(1024)}\r\n`, 'a line between the chunks is too long', 0],
    [one.replace('hello', 'hello!'), 'a chunk is longer than its size', 0],
    [one.replace('hello\r\n', 'hello\n\n'), 'a chunk is longer than its size', 0],
    [one.replace('5;', '6;'), length, 0],
    [`${one}${one}`, length, one.length],
    [last, length, 0],
    [one.replace('5;', `${(chunkBytesMax + 1).toString(16)};`), `a chunk of more than ${chunkBytesMax} bytes`, 0],
    [`${one}${last}x\r\n`, over, one.length + last.length],
    [`${one}${last}\r\n\r\n`, over, one.length + last.length + 2],
    [`${one}${last}${trailer}${signed}\r\n`, over, one.length + last.length],
  ])('%j', (body, problem, passed) => {
    for (const cuts of [[], [1]]) {
      const seen = resign(Buffer.from(body), 5, null, seed, cuts)
      expect({ problem: seen.problem, passed: seen.passed.length }).toEqual({ problem, passed })
    }
  })

  test.each<readonly [behind: string, problem: string]>([
    ['\r\n', unnamed],
    [`${trailer}\r\n`, unnamed],
    [`${signed}\r\n`, missing],
    [`${trailer}${trailer}${signed}\r\n`, unnamed],
    [`x-amz-other:1\r\n${signed}\r\n`, unnamed],
    [`${trailer.replace('sOO8/Q==', 'a b')}${signed}\r\n`, unnamed],
    [`${trailer}${signed.replace('00', '0')}\r\n`, missing],
    [`${trailer}${signed.replace('00', '0g')}\r\n`, missing],
    [`${trailer}${signed}`, early],
    [`${trailer}${signed}${signed}\r\n`, over],
    [`${trailer}${signed}\r\nx`, over],
  ])('behind the last chunk: %j', (behind, problem) => {
    expect(resign(Buffer.from(`${one}${last}${behind}`), 5, ['x-amz-checksum-crc32c']).problem).toBe(problem)
  })

  test('nothing is taken after it', () => {
    const chunks = new AwsChunks({ key, seed, bytes: 5, trailers: null })
    const pass = (): never => expect.fail('passed on')
    expect(chunks.take(Buffer.from('nonsense\r\n'), pass)).toBe(size)
    expect(chunks.take(Buffer.from(one), pass)).toBe(size)
    expect(chunks.end()).toBe(size)
    expect(chunks.heldBytes).toBe(0)
  })
})
