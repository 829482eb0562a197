/** Which gateway a command talks to, and with which token: from flags, variables or the configuration. */

import { readFile } from 'node:fs/promises'
import path from 'node:path'
import type { Command } from 'commander'
import { configFor, type ConfigOptions } from './configuration.ts'
import { type ControlClient, type ControlTarget, createControlClient, parseControlTarget } from './control-client.ts'
import { Complaint, misuse, type World } from './world.ts'

export type ControlOptions = ConfigOptions & { readonly control?: string; readonly tokenFile?: string }

export function addControlOptions(command: Command): Command {
  return command
    .option('--control <address>', 'the control API: host:port, URL or unix:/path; default: as configured')
    .option(
      '--token-file <file>',
      "a control token; default: SALLYPORT_ADMIN_TOKEN, or the gateway's own on this machine",
    )
    .option('--config <file>', 'the configuration of the gateway')
}

export async function connectControl(options: ControlOptions, world: World): Promise<ControlClient> {
  const target = await findTarget(options, world)
  return createControlClient(target, await findToken(options, target, world))
}

async function findTarget(options: ControlOptions, world: World): Promise<ControlTarget> {
  const named = options.control ?? world.env['SALLYPORT_CONTROL_URL']
  const written = named ?? (await configFor(world, options)).control.address
  const target = parseControlTarget(written)
  if (target === null) throw misuse(`"${written}" is no control address; write 127.0.0.1:3180, a URL or unix:/path`)
  return target
}

async function findToken(options: ControlOptions, target: ControlTarget, world: World): Promise<string> {
  if (options.tokenFile !== undefined) return readToken(path.resolve(world.cwd, options.tokenFile))
  const given = world.env['SALLYPORT_CONTROL_TOKEN'] ?? world.env['SALLYPORT_ADMIN_TOKEN']
  if (given !== undefined && given !== '') return given
  if (!target.isLocal)
    throw misuse(`a token is needed for ${target.text}; set SALLYPORT_ADMIN_TOKEN or --token-file FILE`)
  const { stateDirectory } = await configFor(world, options)
  return readToken(path.join(stateDirectory, 'admin-token'))
}

async function readToken(file: string): Promise<string> {
  let text: string
  try {
    text = (await readFile(file, 'utf8')).trim()
  } catch {
    throw new Complaint(`there is no token to read at ${file}; start the gateway first, or set SALLYPORT_ADMIN_TOKEN`)
  }
  if (!/^[!-~]+$/.test(text)) throw new Complaint(`${file} holds no token; name another with --token-file`)
  return text
}
