/**
 * What systemd is told of a service of `Type=notify`: that it serves, and that it stops (sd_notify(3)).
 *
 * Promises: nothing is said where nobody asked (`NOTIFY_SOCKET`); a word that cannot be said is logged and changes nothing.
 * Node knows no datagrams over Unix sockets, so systemd's own program says it; unless we are root that needs
 * `NotifyAccess=all`.
 */

import { execFile } from 'node:child_process'
import type { Log } from '../telemetry/log.ts'
import type { Environment } from './world.ts'

export type SystemdNotice = (state: 'ready' | 'stopping') => Promise<void>

const timeoutMs = 5000

export function createSystemdNotice(env: Environment, log: Log): SystemdNotice {
  const socket = env['NOTIFY_SOCKET'] ?? ''
  // A path, or a name of Linux's own.
  if (!/^[/@]./.test(socket)) return () => Promise.resolve()
  return (state) =>
    new Promise((resolve) => {
      const options = { env: { NOTIFY_SOCKET: socket, PATH: env['PATH'] ?? '' }, timeout: timeoutMs }
      const words = state === 'ready' ? ['--ready', '--status=serving'] : ['STOPPING=1']
      execFile('systemd-notify', words, options, (error) => {
        if (error !== null) log.warn({ state, problem: error.message }, 'systemd was not told')
        resolve()
      })
    })
}
