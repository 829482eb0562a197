/** Where a user's files are by convention (XDG base directories), and what relative paths are relative to. */

import { homedir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import type { Environment } from './overrides.ts'

export type Homes = {
  readonly cwd: string
  readonly home: string
  /** `sallyport` in the user's folder of configurations, and of state. */
  readonly configHome: string
  readonly stateHome: string
}

export function homesOf(environment: Environment, cwd: string): Homes {
  const home = absoluteOr(environment['HOME'], homedir())
  return {
    cwd,
    home,
    configHome: join(absoluteOr(environment['XDG_CONFIG_HOME'], join(home, '.config')), 'sallyport'),
    stateHome: join(absoluteOr(environment['XDG_STATE_HOME'], join(home, '.local', 'state')), 'sallyport'),
  }
}

/** `~/` is the user's home; a relative path begins at `base`. */
export function absolutePath(written: string, { cwd, home }: Pick<Homes, 'cwd' | 'home'>, base = cwd): string {
  if (written === '~' || written.startsWith('~/')) return join(home, written.slice(1))
  return resolve(base, written)
}

/** The XDG specification says to ignore relative values. */
function absoluteOr(value: string | undefined, otherwise: string): string {
  return value !== undefined && isAbsolute(value) ? value : otherwise
}
