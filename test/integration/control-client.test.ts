/** A client that a generator makes of our OpenAPI, used as its users would: checked by the compiler, then run against the API. */

import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { generateApi } from 'swagger-typescript-api'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type ControlBench, createControlBench, recordOf, secretOf } from '../unit/control/fixture.ts'

/** What somebody would write with the generated client; each line that must not compile says so. */
const program = `
import { Api, type Problem } from './client'

export async function use(baseUrl: string, token: string) {
  const api = new Api({ baseUrl, baseApiParams: { headers: { authorization: 'Bearer ' + token } } })
  const made = await api.v1.createSession(
    {
      policy: 'model',
      credentials: { anthropic: { value: 'sk-own-0123456789abcdef' } },
      labels: { run: '7' },
      limits: { uploadBytes: '50MiB' },
    },
    { headers: { authorization: 'Bearer ' + token, 'Idempotency-Key': 'run-7' } },
  )
  const proxy: string | undefined = made.data.env['HTTPS_PROXY']
  const { id } = made.data
  const inline = await api.v1.createSession({ policy: { rules: [{ host: 'example.net', methods: ['GET'] }] } })
  const changed = await api.v1.changeSession(id, { mode: 'audit', ttlSeconds: 60, limits: null })
  const mode: 'audit' | 'enforce' = changed.data.mode
  const page = await api.v1.listSessions({ limit: 1 })
  const next: string | null = page.data.next
  const open: number | undefined = page.data.sessions[0]?.counters.open
  const rotated = await api.v1.rotateToken(id)
  const decisions = await api.v1.listDecisions({ outcome: 'deny', limit: 5 })
  const reasons: (string | null)[] = decisions.data.decisions.map((one) => one.reason)
  const tried = await api.v1.putPolicy('mine', { rules: [{ host: 'a.example' }] }, { dryRun: true })
  const put = await api.v1.putPolicy('mine', { rules: [{ host: 'a.example' }] })
  const version: number = put.data.version
  const gone = await api.v1.removePolicy('mine')
  const verdict = await api.v1.explain({ policy: 'dev', url: 'https://b.example/' })
  const why: string = verdict.data.says
  const refused = await api.v1.createSession({ policy: 'nobody' }).catch((answer: { error: Problem }) => answer.error)
  const code = 'code' in refused ? refused.code : null
  const ended = await api.v1.endSession(inline.data.id)
  // @ts-expect-error a mode there is not
  const wrongMode = () => api.v1.changeSession(id, { mode: 'auditing' })
  // @ts-expect-error a key there is not
  const wrongKey = () => api.v1.createSession({ policy: 'dev', lables: {} })
  // @ts-expect-error no policy
  const noPolicy = () => api.v1.createSession({})
  // @ts-expect-error an outcome there is not
  const wrongOutcome = () => api.v1.listDecisions({ outcome: 'denied' })
  // @ts-expect-error a code there is not
  const wrongCode = 'code' in refused && refused.code === 'no_such_code'
  void [wrongMode, wrongKey, noPolicy, wrongOutcome, wrongCode]
  return {
    proxy, mode, next, open, reasons, why, code,
    rotated: rotated.data.token !== made.data.token, tried: tried.data.name, version, gone: gone.status, ended: ended.status,
    problem: await api.healthz.alive().then(({ data }) => data.status),
  }
}
`
type Used = { readonly use: (baseUrl: string, token: string) => Promise<Readonly<Record<string, unknown>>> }

const compilerOptions = {
  strict: true,
  noEmit: true,
  module: 'esnext',
  moduleResolution: 'bundler',
  target: 'es2023',
  lib: ['es2023', 'dom', 'dom.iterable'],
  types: [],
  noUncheckedIndexedAccess: true,
}
const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'lib', 'tsc.js')

let api: ControlBench
let directory = ''
beforeAll(async () => {
  api = await createControlBench()
  directory = await mkdtemp(join(tmpdir(), 'sallyport-client-'))
})
afterAll(async () => {
  await api?.close()
  await rm(directory, { recursive: true, force: true })
})

it('is generated, compiles and works', { timeout: 60_000 }, async () => {
  const description = await api.call('GET', '/v1/openapi.json', { as: 'viewer' })
  const input = join(directory, 'openapi.json')
  await writeFile(input, description.text)
  await generateApi({ input, output: directory, fileName: 'client.ts', enumStyle: 'const', silent: true })
  await writeFile(join(directory, 'use.ts'), program)
  await writeFile(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['use.ts'] }))
  const said = run(process.execPath, [compiler, '-p', directory])
  expect(said).toBe('')

  api.records.push(recordOf({ host: 'b.example', outcome: 'deny', reason: 'host_not_allowed' }))
  const { use } = (await import(pathToFileURL(join(directory, 'use.ts')).href)) as Used
  expect(await use(api.url, secretOf('platform'))).toEqual({
    proxy: expect.stringMatching(/^http:\/\/s-/) as unknown,
    mode: 'audit',
    next: expect.any(String) as unknown,
    open: 0,
    reasons: ['host_not_allowed'],
    why: expect.stringContaining('denied') as unknown,
    code: 'policy_not_found',
    rotated: true,
    tried: 'mine',
    version: 1,
    gone: 204,
    ended: 204,
    problem: 'alive',
  })
})

/** What the program printed: the compiler's complaints, when it has any. */
function run(file: string, args: readonly string[]): string {
  try {
    return execFileSync(file, args, { encoding: 'utf8' })
  } catch (error) {
    const said = error instanceof Error && 'stdout' in error ? String(error.stdout) : ''
    return `${said}${String(error)}`
  }
}
