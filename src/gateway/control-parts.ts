/** The control API, joined with what it may see and change. */

import { readFile } from 'node:fs/promises'
import type { Config } from '../config/config-schema.ts'
import { sandboxEnvironment } from '../config/sandbox-environment.ts'
import { type ControlToken, parseControlToken } from '../control/control-token.ts'
import { createControlServer } from '../control/server.ts'
import { type GatewayWorld, StartError } from '../gateway.ts'
import { parsePort } from '../net/authority.ts'
import type { BookedSession } from '../sessions/booked-session.ts'
import { publicFilesIn } from '../tls/public-files.ts'
import type { SigningCa } from '../tls/signing-ca.ts'
import type { Endpoint } from '../upstream/own-endpoints.ts'
import { loadAdminToken } from './admin-token.ts'
import type { ClientUrl } from './proxy-doors.ts'
import type { SessionDoors } from './session-doors.ts'
import type { GatewaySessions } from './session-parts.ts'
import type { GatewayTelemetry } from './telemetry-parts.ts'

export type GatewayControl = {
  readonly address: string
  readonly endpoints: readonly Endpoint[]
  /** Where the admin token stands that was made because none is configured. */
  readonly adminTokenPath: string | null
  readonly proxyUrlFor: (id: string, token: string) => string
  readonly environmentFor: (session: BookedSession, token: string) => Record<string, string>
  readonly close: () => Promise<void>
}

export type ControlParts = {
  readonly config: Config
  readonly world: GatewayWorld
  readonly sessions: GatewaySessions
  readonly telemetry: GatewayTelemetry
  readonly ca: SigningCa
  readonly clientUrl: ClientUrl
  readonly sessionDoors: SessionDoors
  readonly ready: () => { readonly ready: boolean; readonly problems: readonly string[] }
}

export async function startControl(parts: ControlParts): Promise<GatewayControl> {
  const { config, world, sessions, telemetry, ca } = parts
  const { tokens, adminTokenPath } = await loadTokens(config, world)
  const { scheme, authority } = parts.clientUrl
  const proxyUrlFor = (id: string, token: string): string => `${scheme}://${id}:${token}@${authority}`
  const environmentFor = (session: BookedSession, token: string): Record<string, string> =>
    sandboxEnvironment({
      proxyUrl: proxyUrlFor(session.id, token),
      files: publicFilesIn(config.publicDirectory),
      placeholders: Object.fromEntries(
        sessions.credentials.environmentFor(session.id, Object.values(session.stored.credentials)),
      ),
      jvm: false,
    })
  const server = await createControlServer({
    tokens,
    hosts: config.control.hosts,
    sessions: sessions.book,
    policies: sessions.policies,
    shelf: sessions.shelf,
    doors: parts.sessionDoors,
    decisions: telemetry.recent.list,
    subscribe: telemetry.recent.subscribe,
    decisionsAfter: telemetry.recent.after,
    metricsText: telemetry.metricsText,
    ready: parts.ready,
    proxyUrlFor,
    environmentFor,
    caCertificate: ca.certificatePem,
    credentials: {
      names: new Set(sessions.credentials.names()),
      judgeValue: (name, value) => sessions.credentials.judgeValue(name, value),
      seal: sessions.seal.seal,
    },
    defaultTtlSeconds: Math.floor(config.sessions.defaultTtlMs / 1000),
    now: world.now,
    log: (message, error) => world.log.error({ error }, message),
  })
  const address = await server.listen(controlAddress(config.control.address))
  world.log.info({ address }, 'control API listening')
  return {
    address,
    endpoints: endpointsOf(address),
    adminTokenPath,
    proxyUrlFor,
    environmentFor,
    close: () => server.close(),
  }
}

async function loadTokens(
  config: Config,
  world: GatewayWorld,
): Promise<{ tokens: ControlToken[]; adminTokenPath: string | null }> {
  const tokens: ControlToken[] = []
  const problems: string[] = []
  for (const spec of config.control.tokens) {
    const secret = 'env' in spec.secret ? world.variable(spec.secret.env) : await readSecretFile(spec.secret.file)
    if (secret === undefined) {
      problems.push(`control.tokens: ${spec.name}: its secret is not there`)
      continue
    }
    const token = parseControlToken(spec, secret)
    if (Array.isArray(token))
      problems.push(...token.map(({ path, message, fix }) => `control.tokens: ${spec.name}${path}: ${message}; ${fix}`))
    else tokens.push(token)
  }
  if (problems.length > 0) throw new StartError(problems.join('\n'))
  if (tokens.length > 0) return { tokens, adminTokenPath: null }
  const { token, path } = await loadAdminToken(config.stateDirectory)
  const admin = parseControlToken({ name: 'admin', scopes: ['admin'], secret: { file: path } }, token)
  if (Array.isArray(admin)) throw new StartError(`${path}: is no admin token; delete it to make a new one`)
  return { tokens: [admin], adminTokenPath: path }
}

async function readSecretFile(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).replace(/\r?\n$/, '')
  } catch {
    return undefined
  }
}

function controlAddress(address: string): { host: string; port: number } | { path: string } {
  if (address.startsWith('unix:')) return { path: address.slice(5) }
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) }
}

function endpointsOf(address: string): Endpoint[] {
  const colon = address.lastIndexOf(':')
  const port = parsePort(address.slice(colon + 1))
  return port === null ? [] : [{ address: address.slice(0, colon).replace(/^\[|\]$/g, ''), port }]
}
