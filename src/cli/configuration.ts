/**
 * The configuration, as commands ask for it.
 *
 * Promises: what is wrong with it comes all at once, one line each; commands that only talk to a gateway are not held to
 * what the process of a gateway must be.
 */

import type { Config } from '../config/config-schema.ts'
import { type ConfigChoice, loadConfig, type LoadedConfig } from '../config/load-config.ts'
import { issuesText } from './policy-files.ts'
import { Complaint, type Environment, type World } from './world.ts'

export type ConfigOptions = { readonly config?: string }

export type Flags = Readonly<Record<string, string | undefined>>

/** For a process that becomes a gateway. */
export async function loadForGateway(world: World, choice: ConfigChoice, flags: Flags): Promise<LoadedConfig> {
  return load(world, choice, flags, world.env)
}

/** For looking only: the file that `serve` would take here, or the one that is named. */
export async function configFor(world: World, options: ConfigOptions): Promise<Config> {
  const { config } = await loadForLooking(world, options)
  return config
}

export async function loadForLooking(world: World, options: ConfigOptions): Promise<LoadedConfig> {
  // What would weaken a gateway's TLS is nothing to a command that holds no secret of it.
  const harmless = Object.entries(world.env).filter(([name]) => !/^(?:NODE|OPENSSL)_/.test(name))
  return load(world, choiceOf(options), {}, Object.fromEntries(harmless))
}

export function choiceOf({ config }: ConfigOptions): ConfigChoice {
  return config === undefined ? { kind: 'working-directory' } : { kind: 'file', file: config }
}

async function load(world: World, choice: ConfigChoice, flags: Flags, environment: Environment): Promise<LoadedConfig> {
  const loaded = await loadConfig({ choice, flags, cwd: world.cwd, environment })
  if (Array.isArray(loaded)) throw new Complaint(`the configuration cannot be used\n${issuesText(loaded)}`)
  return loaded
}
