/**
 * The environment of a command that `run` starts. Pure.
 *
 * Promises: no variable that holds a secret of the configuration, and none of ours, reaches the command; nothing inherited
 * stands beside what the session's own environment says, in any spelling, because programs take whichever they read first.
 */

import { environmentTable } from '../config/sandbox-environment.ts'
import type { Environment } from './world.ts'

/** Not in the table, and would lead past the gateway or past its CA. */
const alsoDropped = [
  'FTP_PROXY',
  'NO_GRPC_PROXY',
  'NPM_CONFIG_HTTPS_PROXY',
  'NPM_CONFIG_HTTP_PROXY',
  'NPM_CONFIG_NOPROXY',
  'NPM_CONFIG_PROXY',
  'RSYNC_PROXY',
  'SSL_CERT_DIR',
]

/** A JVM takes what they say before what JAVA_TOOL_OPTIONS says. */
const aboveJavaToolOptions = ['JDK_JAVA_OPTIONS', '_JAVA_OPTIONS']

export type ChildEnvironmentOptions = {
  readonly inherited: Environment
  /** Variables the configuration reads secrets from. */
  readonly secretVariables: ReadonlySet<string>
  readonly sandbox: Readonly<Record<string, string>>
}

export function childEnvironment({
  inherited,
  secretVariables,
  sandbox,
}: ChildEnvironmentOptions): Record<string, string> {
  const rivals = 'JAVA_TOOL_OPTIONS' in sandbox ? [...alsoDropped, ...aboveJavaToolOptions] : alsoDropped
  const dropped = new Set([...environmentTable.map(([name]) => name), ...Object.keys(sandbox), ...rivals].map(upper))
  const environment: Record<string, string> = {}
  for (const [name, value] of Object.entries(inherited)) {
    if (value === undefined || dropped.has(upper(name))) continue
    if (secretVariables.has(name) || upper(name).startsWith('SALLYPORT_')) continue
    environment[name] = value
  }
  return { ...environment, ...sandbox }
}

function upper(name: string): string {
  return name.toUpperCase()
}
