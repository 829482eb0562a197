import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { issueText, loadConfig } from '../../../src/config/load-config.ts'

let folder = ''
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'config-'))))
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const shared = 'version: 1\nca: { certificate: c.pem, key: k.pem }\nstateKey: { file: key }\n'

async function load(text: string) {
  writeFileSync(join(folder, 'sallyport.yaml'), text)
  return loadConfig({
    choice: { kind: 'working-directory' },
    flags: {},
    cwd: folder,
    environment: { HOME: '/home/dev', SALLYPORT_REDIS_URL: 'redis://:swordfish@localhost' },
  })
}

async function problems(text: string): Promise<string[]> {
  const loaded = await load(text)
  return Array.isArray(loaded) ? loaded.map((issue) => issueText(issue).replaceAll(`${folder}/`, '')) : []
}

it('Redis is where its URL says, which comes from a variable or a file; prefix and grace have defaults', async () => {
  const loaded = await load(`${shared}sessions: { store: { redis: { url: { env: SALLYPORT_REDIS_URL } } } }\n`)
  expect(loaded).toMatchObject({
    config: {
      stateKey: { file: join(folder, 'key') },
      sessions: {
        store: { url: { env: 'SALLYPORT_REDIS_URL' }, ca: null, prefix: 'sallyport', graceMs: 30_000 },
      },
    },
  })
  expect(JSON.stringify(loaded)).not.toContain('swordfish')
})

it('all of it can be said', async () => {
  const store = '{ redis: { url: { file: url }, ca: roots.pem, prefix: blue, grace: 5s } }'
  expect(await load(`${shared}sessions: { store: ${store} }\n`)).toMatchObject({
    config: {
      sessions: {
        store: { url: { file: join(folder, 'url') }, ca: join(folder, 'roots.pem'), prefix: 'blue', graceMs: 5000 },
      },
    },
  })
})

it('replicas without a common CA and key do not load (decision 45)', async () => {
  expect(await problems('version: 1\nsessions: { store: { redis: { url: { env: R } } } }\n')).toEqual([
    expect.stringMatching(/ca: is null: each replica would sign by a CA of its own/),
    expect.stringMatching(/stateKey: is null: replicas could not read/),
  ])
})

it.each([
  ['{ redis: { url: redis://localhost } }', /is not a group of keys/],
  ['{ redis: { url: {} } }', /does not say where the URL comes from/],
  ['{ redis: { url: { env: A, file: b } } }', /does not say where the URL comes from/],
  ['{ redis: { url: { env: A }, grace: 0s } }', /"0s" is no grace/],
  ['{ redis: { url: { env: A }, grace: 2h } }', /"2h" is no grace/],
  ['{ redis: { url: { env: A }, prefx: a } }', /unknown key "prefx"/],
  ['{ valkey: { url: { env: A } } }', /unknown key "valkey"/],
  ['3', /is not a group of keys or text/],
])('store: %s is told so', async (store, said) => {
  expect((await problems(`${shared}sessions: { store: ${store} }\n`)).join('\n')).toMatch(said)
})

it('a state key says where it comes from', async () => {
  expect((await problems('version: 1\nstateKey: {}\n')).join()).toMatch(/stateKey: does not say where/)
})
