/**
 * The SDKs of two model APIs, in a sandbox that holds nothing but placeholders of the right shape.
 */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Site, startSite } from '../support/local-ca-origin.ts'
import { createModelApis } from '../support/model-apis.ts'
import { type RealGateway, startRealGateway } from '../support/real-clients.ts'

const keys = { anthropic: `sk-ant-api03-${'Real'.repeat(24)}AA`, openai: `sk-proj-${'real'.repeat(12)}` }
const apis = createModelApis(keys)

let site: Site
let world: RealGateway
beforeAll(async () => {
  site = await startSite(apis.handler)
  const to = (host: string, paths: readonly string[], credential: string): object => ({
    host,
    addresses: ['127.0.0.0/8'],
    ports: [site.httpsPort],
    methods: ['POST'],
    paths,
    credential,
  })
  world = await startRealGateway({
    hosts: ['anthropic.test', 'openai.test'],
    originCa: site.ca.certificate,
    policies: {
      models: [to('anthropic.test', ['/v1/messages'], 'claude'), to('openai.test', ['/v1/chat/completions'], 'gpt')],
    },
    credentials: [
      {
        name: 'claude',
        kind: 'header',
        header: 'x-api-key',
        hosts: ['anthropic.test'],
        placeholder: { env: 'ANTHROPIC_API_KEY', like: 'sk-ant-api03-{95}AA' },
      },
      {
        name: 'gpt',
        kind: 'bearer',
        hosts: ['openai.test'],
        placeholder: { env: 'OPENAI_API_KEY', like: 'sk-proj-{48}' },
      },
    ],
    secrets: { claude: keys.anthropic, gpt: keys.openai },
  })
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
  await site?.[Symbol.asyncDispose]()
})
beforeEach(() => void apis.calls.splice(0))

type Told = {
  readonly key: string
  readonly heard: readonly string[]
  readonly environment: string
  readonly refusal: { readonly status: number; readonly message: string }
}

/** Runs an SDK's program in a new sandbox; it prints one JSON value, in which no secret may stand. */
async function converse(module: string, program: string, origin: string): Promise<Told> {
  const sandbox = await world.sandbox('models')
  const args = ['--input-type=module', '-e', program, import.meta.resolve(module), origin]
  const ran = await sandbox.run(process.execPath, args)
  expect(ran.code, ran.said).toBe(0)
  for (const secret of Object.values(keys)) expect(ran.said).not.toContain(secret)
  return JSON.parse(ran.stdout) as Told
}

const turns = 20
const others = Array.from({ length: turns }, (_, i) => i + 1).toSpliced(1, 1)

/** What an agent does: it talks, prints its environment on the way, and sends all of it again with every turn. */
const story = `
  const [module, origin] = process.argv.slice(1)
  const { default: Sdk } = await import(module)
  const client = new Sdk({ baseURL: origin + base })
  const key = client.apiKey
  const messages = []
  const heard = []
  for (let turn = 1; turn <= ${turns}; turn++) {
    messages.push({ role: 'user', content: turn === 2 ? JSON.stringify(process.env) : 'turn ' + turn })
    const said = await ask(messages, turn % 2 === 0)
    messages.push({ role: 'assistant', content: said })
    heard.push(said)
  }
  const refusal = await elsewhere().then(() => null, ({ status, message }) => ({ status, message }))
  console.log(JSON.stringify({ key, heard, refusal, environment: JSON.stringify(process.env) }))
`

describe.each([
  {
    module: '@anthropic-ai/sdk',
    host: 'anthropic.test',
    shape: /^sk-ant-api03-.{95}AA$/,
    sent: keys.anthropic,
    program: `const base = ''
      ${story}
      async function ask(messages, streamed) {
        const call = { model: 'm', max_tokens: 100, messages }
        if (streamed) return client.messages.stream(call).finalText()
        return (await client.messages.create(call)).content[0].text
      }
      function elsewhere() {
        return client.post('/v1/files', { body: {} })
      }
    `,
  },
  {
    module: 'openai',
    host: 'openai.test',
    shape: /^sk-proj-.{48}$/,
    sent: `Bearer ${keys.openai}`,
    program: `const base = '/v1'
      ${story}
      async function ask(messages, streamed) {
        if (!streamed) return (await client.chat.completions.create({ model: 'm', messages })).choices[0].message.content
        let said = ''
        for await (const chunk of await client.chat.completions.create({ model: 'm', messages, stream: true }))
          said += chunk.choices[0].delta.content
        return said
      }
      function elsewhere() {
        return client.post('/files', { body: {} })
      }
    `,
  },
])('the SDK $module', ({ module, host, shape, sent, program }) => {
  it('talks for twenty turns, its own environment among them, and is refused once where it may not go', async () => {
    const origin = `https://${host}:${site.httpsPort}`
    const { result, records } = await world.watch(turns + 1, () => converse(module, program, origin))
    expect(result.key).toMatch(shape)
    expect(result.environment).toContain(result.key)
    expect(result.heard[1]).toContain('you said: {')
    expect(result.heard.toSpliced(1, 1)).toEqual(others.map((turn) => `you said: turn ${turn}`))
    expect(apis.calls.map(({ key }) => key)).toEqual(Array.from({ length: turns }, () => sent))
    expect(apis.calls.at(-1)?.body).toContain(result.key)
    expect(result.refusal.status).toBe(403)
    expect(result.refusal.message).toMatch(/egress.*anthropic|egress_denied: openai/)
    expect(records.map(({ outcome }) => outcome)).toEqual([...Array.from({ length: turns }, () => 'allow'), 'deny'])
    expect(records.at(-1)).toMatchObject({ reason: 'path_not_allowed', credentials: [] })
  })
})
