/** Starts a gateway for a command; what keeps it from starting becomes one clear complaint. */

import type { Config } from '../config/config-schema.ts'
import { type Gateway, type GatewayWorld, startGateway } from '../gateway.ts'
import { createLog, type Log } from '../telemetry/log.ts'
import { Complaint, type World } from './world.ts'

export function logFor(config: Pick<Config, 'log'>, world: World): Log {
  const { level, format } = config.log
  const shape = format === 'auto' ? (world.err.isTerminal ? 'text' : 'json') : format
  return createLog({ level, format: shape })
}

export async function start(config: Config, gatewayWorld: GatewayWorld): Promise<Gateway> {
  try {
    return await startGateway(config, gatewayWorld)
  } catch (error) {
    if (isBug(error)) throw error
    throw new Complaint(`the gateway does not start: ${whyOf(error)}`)
  }
}

/** What the language itself throws is nobody's configuration. */
function isBug(error: unknown): boolean {
  return (
    !(error instanceof Error) || ['AssertionError', 'ReferenceError', 'SyntaxError', 'TypeError'].includes(error.name)
  )
}

function whyOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error ? String(error.code) : ''
  if (code === 'EADDRINUSE')
    return `${error.message}; stop what listens there, or choose another address with --listen or --control`
  if (code === 'EACCES') return `${error.message}; choose a port above 1023, or a path you can write`
  return error.message
}
