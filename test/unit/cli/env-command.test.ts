/** What `sallyport env` reads out of the configuration, without a gateway. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { say } from './fake-world.ts'

const proof = 's-abc:0123456789abcdef'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-env-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

it.each([
  [
    'a listener of TLS has a proxy of https',
    '{ address: 0.0.0.0:3129, tls: { name: proxy.test } }',
    [],
    'proxy.test:3129',
  ],
  [
    'one in the clear goes before it',
    '{ address: 127.0.0.1:3129, tls: { name: proxy.test } }, { address: 0.0.0.0:3130 }',
    [],
    '127.0.0.1:3130',
  ],
  ['an address that is given is in the clear', '{ address: 127.0.0.1:1 }', ['--proxy', 'gw.test:1'], 'gw.test:1'],
  ['or as it says', '{ address: 127.0.0.1:1 }', ['--proxy', 'https://gw.test:1'], 'gw.test:1'],
])('%s', async (name, listeners, flags, authority) => {
  const config = join(folder, 'sallyport.yaml')
  await writeFile(config, `version: 1\nlisteners: [${listeners}]\n`, { mode: 0o600 })
  const { code, out, err } = await say(['env', '--json', '--config', config, ...flags], { cwd: folder, stdin: proof })
  expect([code, err]).toEqual([0, ''])
  const scheme = /TLS|as it says/.test(name) ? 'https' : 'http'
  expect(JSON.parse(out)).toMatchObject({ HTTPS_PROXY: `${scheme}://${proof}@${authority}` })
})
