/** Puts sessions one after the other and says so, until it is killed: the first half of the kill -9 test. */

import { createFileStore } from '../../src/sessions/file-store.ts'
import { stored } from './stored-session.ts'

const store = createFileStore({ directory: process.argv[2] ?? '', key: Buffer.alloc(32, 1), log: () => undefined })
const letters = 'abcdefghijklmnopqrstuvwxyz'
for (let i = 0; ; i++) {
  const id = `s-aaaaaaaaaa${letters.charAt(Math.floor(i / 26) % 26)}${letters.charAt(i % 26)}`
  await store.put({ ...stored, id })
  process.stdout.write(`${id}\n`)
  await new Promise((resolve) => setTimeout(resolve, 1))
}
