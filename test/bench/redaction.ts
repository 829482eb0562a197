/** What does it cost to search an answer for a secret? CPU seconds per GiB by what the answer is made of, and for a small answer. */

import { randomBytes } from 'node:crypto'
import { Masker } from '../../src/credentials/redact/masker.ts'
import { parseSecret } from '../../src/credentials/secret.ts'
import { median, print } from './bench-world.ts'

const chunkBytes = 65_536
const chunks = 2000
const secret = parseSecret(`sk-ant-api03-${randomBytes(48).toString('base64url')}`, { unsafeShortSecret: false })
if (typeof secret === 'string') throw new Error(secret)
const secrets = [secret]

const item = { id: 17, text: 'some "text" that says things\n', url: 'https://origin.bench.test/a/b?c=d&e=f' }
const contents = {
  random: randomBytes(chunkBytes),
  JSON: Buffer.from(JSON.stringify(Array.from({ length: 1000 }, () => item))).subarray(0, chunkBytes),
  HTML: Buffer.from('<p class="s">It&#39;s some text &amp; more, as sites serve.</p>\n'.repeat(1200)).subarray(
    0,
    chunkBytes,
  ),
  base64: Buffer.from(randomBytes(chunkBytes).toString('base64')).subarray(0, chunkBytes),
}

const figures = Object.fromEntries(
  Object.entries(contents).map(([name, bytes]) => {
    const masker = new Masker(secrets)
    const seconds = cpuSeconds(() => {
      for (let i = 0; i < chunks; i++) masker.push(bytes)
    })
    return [name, Number(((chunkBytes * chunks) / 2 ** 30 / seconds).toFixed(2))]
  }),
)
const small = Buffer.from('{"ok":true,"items":[1,2,3],"text":"some words are here"}\n'.repeat(4))
const perAnswer = cpuSeconds(() => {
  for (let i = 0; i < 100_000; i++) {
    const masker = new Masker(secrets)
    masker.push(small)
    masker.finish()
  }
})
print('GiB per CPU-second searched for a secret, and microseconds for an answer of 228 bytes', {
  ...figures,
  small: Number((perAnswer * 10).toFixed(2)),
})

/** Of five rounds, after one to warm up. */
function cpuSeconds(work: () => void): number {
  work()
  return median(
    Array.from({ length: 5 }, () => {
      const before = process.cpuUsage().user
      work()
      return (process.cpuUsage().user - before) / 1e6
    }),
  )
}
