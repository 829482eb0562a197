/**
 * What each client shows when it is refused, in the CONNECT and inside TLS, and how often it tries: the README's table.
 */

import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Site, startSite } from '../support/local-ca-origin.ts'
import { type RealGateway, startRealGateway } from '../support/real-clients.ts'

let site: Site
let world: RealGateway
beforeAll(async () => {
  site = await startSite()
  const rule = { host: 'known.test', addresses: ['127.0.0.0/8'], ports: [443] }
  world = await startRealGateway({ hosts: [], originCa: site.ca.certificate, policies: { nothing: [rule] } })
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
  await site?.[Symbol.asyncDispose]()
})

const url = 'https://denied.test/x'

const node = (program: string, ...modules: readonly string[]): readonly string[] => [
  process.execPath,
  '--input-type=module',
  '-e',
  `${program}.catch((error) => {
    for (let at = error; at; at = at.cause) console.error(at.status ?? '', at.name + ': ' + at.message)
  })`,
  ...modules.map((module) => import.meta.resolve(module)),
]

const clients: Readonly<Record<string, readonly string[]>> = {
  curl: ['curl', '-sS', url],
  wget: ['wget', '-O-', url],
  git: ['git', 'ls-remote', url],
  npm: ['npm', 'view', 'left-pad', '--registry=https://denied.test/'],
  pip: ['pip', 'download', '--no-deps', '--index-url=https://denied.test/simple', 'requests'],
  'Node fetch': node(
    `fetch('${url}').then(async (answer) => console.log(answer.status, answer.headers.get('x-egress-reason'), await answer.text()))`,
  ),
  'Python urllib': ['python3', '-c', `import urllib.request as r; r.urlopen('${url}')`],
  'Anthropic SDK': node(
    `import(process.argv[1]).then(({ default: Sdk }) => new Sdk({ apiKey: 'k', baseURL: 'https://denied.test' }).models.list())`,
    '@anthropic-ai/sdk',
  ),
  'OpenAI SDK': node(
    `import(process.argv[1]).then(({ default: Sdk }) => new Sdk({ apiKey: 'k', baseURL: 'https://denied.test' }).models.list())`,
    'openai',
  ),
}

const ways = ['connect', 'inside'] as const

/** Client to what the README says of it. */
async function readmeRows(): Promise<ReadonlyMap<string, readonly string[]>> {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8')
  const [, after = ''] = readme.split(
    '| client | refused CONNECT | refused inside TLS | tries |\n| --- | --- | --- | --- |\n',
  )
  const rows = after.slice(0, after.indexOf('\n\n')).split('\n')
  return new Map(rows.map((row) => row.slice(2, -2).split(' | ')).map(([name = '', ...cells]) => [name, cells]))
}

it('the README speaks of these clients', async () => {
  expect([...(await readmeRows()).keys()]).toEqual(Object.keys(clients))
})

it.each(Object.entries(clients))(
  '%s shows what the README says, and tries as often',
  async (name, [tool = '', ...args]) => {
    const [inConnect = '', insideTls = '', tries = ''] = (await readmeRows()).get(name) ?? []
    const seen: number[] = []
    for (const [i, refusal] of ways.entries()) {
      const sandbox = await world.sandbox('nothing', { refusal })
      const { said } = await sandbox.run(tool, args, { timeoutMs: 60_000 })
      const [, shown] = /^`(.*?)`/.exec([inConnect, insideTls][i] ?? '') ?? []
      if (shown !== undefined) expect(said).toContain(shown)
      const records = (await world.audit()).filter(({ session, event }) => session === sandbox.id && event === 'final')
      seen.push(records.length)
    }
    expect(seen.join(', ')).toBe(tries)
  },
  60_000,
)
