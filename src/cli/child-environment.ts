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

/** What leads to processes of outside: agents, buses, engines, displays, editors and multiplexers. */
const leadingOut = [
  'CONTAINER_HOST',
  'DBUS_SESSION_BUS_ADDRESS',
  'DBUS_SYSTEM_BUS_ADDRESS',
  'DISPLAY',
  'DOCKER_HOST',
  'GIT_ASKPASS',
  'GNOME_KEYRING_CONTROL',
  'GPG_AGENT_INFO',
  'KRB5CCNAME',
  'NVIM',
  'NVIM_LISTEN_ADDRESS',
  'PULSE_SERVER',
  'SSH_AGENT_PID',
  'SSH_ASKPASS',
  'SSH_AUTH_SOCK',
  'STY',
  'TMUX',
  'TMUX_PANE',
  'VSCODE_GIT_ASKPASS_NODE',
  'VSCODE_GIT_IPC_HANDLE',
  'VSCODE_IPC_HOOK_CLI',
  'WAYLAND_DISPLAY',
  'WSL_INTEROP',
  'XAUTHORITY',
  'XDG_RUNTIME_DIR',
]

export type ChildEnvironmentOptions = {
  readonly inherited: Environment
  /** Variables the configuration reads secrets from. */
  readonly secretVariables: ReadonlySet<string>
  readonly sandbox: Readonly<Record<string, string>>
  /** Nothing of outside can be reached, so nothing may say that it could. */
  readonly isIsolated: boolean
}

export function childEnvironment({
  inherited,
  secretVariables,
  sandbox,
  isIsolated,
}: ChildEnvironmentOptions): Record<string, string> {
  const rivals = [
    ...alsoDropped,
    ...('JAVA_TOOL_OPTIONS' in sandbox ? aboveJavaToolOptions : []),
    ...(isIsolated ? leadingOut : []),
  ]
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
