/**
 * For `sallyport demo`: a gateway as an operator would set it up, and what a sandbox meets behind it.
 *
 * Promises: everything is as in production: the configuration is a file, the session is opened over the API, the client
 * has its proxy URL and a CA and nothing else. Each step says whether it was as told.
 */

import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { loadConfig } from '../config/load-config.ts'
import type { CreatedSession } from '../control/schemas.ts'
import type { Gateway } from '../gateway.ts'
import { createControlClient, parseControlTarget } from './control-client.ts'
import { parseRecordLine } from './decision-query.ts'
import { type Answer, ask } from './demo-client.ts'
import type { DemoOrigin } from './demo-origin.ts'
import { issuesText } from './policy-files.ts'
import { logFor, start } from './start.ts'
import { Complaint, type World } from './world.ts'

export const originName = 'api.demo.test'
const elsewhere = 'paste.demo.test'

export type Step = {
  readonly title: string
  readonly lines: readonly string[]
  readonly isAsTold: boolean
}

export type Demo = { readonly gateway: Gateway; readonly secret: string; readonly auditFile: string }

/** The files of an operator: configuration, policy, secret. */
export async function startDemoGateway(directory: string, origin: DemoOrigin, world: World): Promise<Demo> {
  const secret = `demo-${randomBytes(24).toString('base64url')}`
  const auditFile = path.join(directory, 'audit.jsonl')
  await mkdir(path.join(directory, 'policies'), { mode: 0o700 })
  await writeFile(path.join(directory, 'secret'), `${secret}\n`, { mode: 0o600 })
  await writeFile(path.join(directory, 'origin-ca.pem'), origin.caCertificate)
  await writeFile(path.join(directory, 'policies', 'demo.yaml'), policyText(origin.port))
  const file = path.join(directory, 'sallyport.yaml')
  await writeFile(file, configText(path.join(directory, 'secret')), { mode: 0o600 })
  const loaded = await loadConfig({ choice: { kind: 'file', file }, flags: {}, cwd: directory, environment: {} })
  if (Array.isArray(loaded)) throw new Complaint(issuesText(loaded))
  const { config, variable } = loaded
  const gateway = await start(config, { log: logFor(config, world), variable, now: world.now })
  return { gateway, secret, auditFile }
}

export async function tellStory({ gateway, secret, auditFile }: Demo, origin: DemoOrigin): Promise<Step[]> {
  const session = await openSession(gateway)
  const from = { proxyUrl: session.proxyUrl, trusted: session.caCertificate }
  const base = `https://${originName}:${origin.port}`
  const allowed = await ask({ ...from, method: 'POST', url: `${base}/v1/messages` })
  const seen = origin.asked.at(-1)
  const otherPath = await ask({ ...from, method: 'POST', url: `${base}/v1/files` })
  const headers = { authorization: 'Bearer the-agents-own-key' }
  const foreign = await ask({ ...from, method: 'POST', url: `${base}/v1/messages`, headers })
  const host = await ask({ ...from, method: 'GET', url: `https://${elsewhere}:${origin.port}/` })
  await gateway.telemetry.flush()
  const audit = (await readFile(auditFile, 'utf8')).trim().split('\n')
  const metrics = metricLines((await gateway.telemetry.metricsText()).text)
  const told = [allowed, otherPath, foreign, host].map(({ body, reason }) => body + reason).join('')
  const hasLeaked = [told, ...audit, ...metrics].some((text) => text.includes(secret))
  return [
    {
      title: 'Allowed: the sandbox asks without any key, the origin sees the real one',
      lines: [
        `POST ${base}/v1/messages -> ${allowed.status} ${allowed.body.trim()}`,
        `the origin saw Authorization: ${masked(seen?.authorization ?? null)}`,
      ],
      isAsTold: allowed.status === 200 && seen?.authorization === `Bearer ${secret}`,
    },
    refused('Denied: the host is allowed, this path is not', `POST ${base}/v1/files`, otherPath, 'path_not_allowed'),
    refused(
      'Denied: a key of the agent would be another account',
      `POST ${base}/v1/messages with a key`,
      foreign,
      'foreign_credential',
    ),
    refused(
      'Denied: a host that no rule names, before any DNS question',
      `GET https://${elsewhere}:${origin.port}/`,
      host,
      'host_not_allowed',
    ),
    {
      title: 'The origin was asked once; the secret is in no answer, record or metric',
      lines: [`requests at the origin: ${origin.asked.length}`],
      isAsTold: origin.asked.length === 1 && !hasLeaked,
    },
    {
      title: `Audit log: one line per exchange (excerpts)`,
      lines: audit.map(auditExcerpt),
      isAsTold: audit.length === 4,
    },
    { title: 'Metrics', lines: metrics, isAsTold: metricsSum(metrics) === 4 },
  ]
}

async function openSession(gateway: Gateway): Promise<CreatedSession> {
  const target = parseControlTarget(gateway.control)
  if (target === null || gateway.adminTokenPath === null) throw new Error('the gateway of the demo has no control API')
  const token = (await readFile(gateway.adminTokenPath, 'utf8')).trim()
  return parseCreated(await createControlClient(target, token).call('POST', '/v1/sessions', { policy: 'demo' }))
}

function refused(title: string, request: string, answer: Answer, reason: string): Step {
  const { error } = parseRefusal(answer.body)
  const where = answer.isRefusedConnect ? 'in place of the tunnel' : 'inside TLS'
  return {
    title,
    lines: [`${request} -> ${answer.status} ${where}`, answer.reason, `error: ${error ?? 'none'}`],
    isAsTold: answer.status === 403 && answer.reason.includes(reason) && error !== undefined,
  }
}

/** Enough to recognise it, too little to use. */
function masked(authorization: string | null): string {
  if (authorization === null) return 'nothing'
  return `${authorization.slice(0, 12)}${'*'.repeat(Math.max(0, authorization.length - 12))}`
}

function metricLines(text: string): string[] {
  return text.split('\n').filter((line) => /^sallyport_(?:decisions|credential_uses)_total\{/.test(line))
}

function metricsSum(lines: readonly string[]): number {
  const decisions = lines.filter((line) => line.startsWith('sallyport_decisions_total{'))
  return decisions.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}

/** A record has some thirty fields; these tell the story. */
function auditExcerpt(line: string): string {
  const record = parseRecordLine(line)
  if (record === null) return line
  const { outcome, reason, rule, method, host, path: asked, status, credentials } = record
  return JSON.stringify({ outcome, reason, rule, method, host, path: asked, status, credentials })
}

function policyText(port: number): string {
  return `version: 1
name: demo
rules:
  - host: ${originName}
    ports: [${port}]
    addresses: [127.0.0.0/8]
    methods: [POST]
    paths: [/v1/messages]
    credential: demo
`
}

function configText(secretFile: string): string {
  return `version: 1
listeners: [{ address: "127.0.0.1:0" }]
control: { address: "127.0.0.1:0" }
stateDirectory: state
policies: policies
sessions: { store: memory }
audit: { file: audit.jsonl }
log: { level: warn }
upstream:
  extraCa: origin-ca.pem
  dns: { hosts: { ${originName}: 127.0.0.1 } }
credentials:
  - name: demo
    kind: bearer
    secret: { file: ${JSON.stringify(secretFile)} }
    hosts: [${originName}]
`
}

function parseCreated(value: unknown): CreatedSession {
  return value as CreatedSession
}

function parseRefusal(body: string): { readonly error?: string } {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}
