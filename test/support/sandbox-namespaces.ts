/**
 * The networks of `docker/compose.yaml` as namespaces: a sandbox whose only wire goes to the gateway, the gateway on both
 * sides, and the world. Needs root and `ip`; nothing of this machine's own network is touched.
 */

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { randomBytes } from 'node:crypto'

/** Of the world. The addresses that `verify` tries are really there, so that an open wall is seen. */
export const outside = { address: '1.1.1.1', address6: '2606:4700:4700::1111', metadata: '169.254.169.254' } as const
/** On the network of the sandbox. */
export const inside = {
  sandbox: '172.30.28.3',
  gateway: '172.30.28.2',
  sandbox6: 'fd1c::3',
  gateway6: 'fd1c::2',
} as const

export type Namespaces = {
  /** Command and first arguments that run what follows in a namespace. */
  readonly into: (name: 'gateway' | 'sandbox' | 'world') => readonly [string, ...string[]]
  /** Takes the wall of the network away: the gateway's machine forwards, and the sandbox has a route. */
  readonly open: () => void
  readonly close: () => void
}

export function createNamespaces(): Namespaces {
  const tag = `sp${randomBytes(3).toString('hex')}`
  const nameOf = (which: string): string => `${tag}-${which}`
  const ip = (...args: readonly string[]): void => void execFileSync('ip', args, { stdio: 'pipe' })
  const inIp = (which: string, ...args: readonly string[]): void => ip('-n', nameOf(which), ...args)
  const names = ['sandbox', 'gateway', 'world'] as const
  for (const which of names) {
    ip('netns', 'add', nameOf(which))
    inIp(which, 'link', 'set', 'lo', 'up')
  }
  const wire = (left: string, right: string): void => {
    inIp(left, 'link', 'add', `to-${right}`, 'type', 'veth', 'peer', `to-${left}`, 'netns', nameOf(right))
    inIp(left, 'link', 'set', `to-${right}`, 'up')
    inIp(right, 'link', 'set', `to-${left}`, 'up')
  }
  const address = (which: string, link: string, ...blocks: readonly string[]): void => {
    for (const block of blocks)
      inIp(which, 'address', 'add', block, 'dev', link, ...(block.includes(':') ? ['nodad'] : []))
  }
  wire('sandbox', 'gateway')
  wire('gateway', 'world')
  address('sandbox', 'to-gateway', `${inside.sandbox}/24`, `${inside.sandbox6}/64`)
  address('gateway', 'to-sandbox', `${inside.gateway}/24`, `${inside.gateway6}/64`)
  address('gateway', 'to-world', '100.64.9.2/30', 'fd2c::2/64')
  address('world', 'to-gateway', '100.64.9.1/30', 'fd2c::1/64')
  address('world', 'lo', `${outside.address}/32`, `${outside.metadata}/32`, `${outside.address6}/128`)
  inIp('gateway', 'route', 'add', 'default', 'via', '100.64.9.1')
  inIp('gateway', '-6', 'route', 'add', 'default', 'via', 'fd2c::1')
  inIp('world', 'route', 'add', '172.30.28.0/24', 'via', '100.64.9.2')
  inIp('world', '-6', 'route', 'add', 'fd1c::/64', 'via', 'fd2c::2')
  const into: Namespaces['into'] = (name) => ['ip', 'netns', 'exec', nameOf(name)]
  return {
    into,
    open: () => {
      const [file, ...args] = into('gateway')
      const forward = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']
      execFileSync(file, [...args, 'sysctl', '-qw', ...forward], { stdio: 'pipe' })
      inIp('sandbox', 'route', 'add', 'default', 'via', inside.gateway)
      inIp('sandbox', '-6', 'route', 'add', 'default', 'via', inside.gateway6)
    },
    close: () => {
      for (const which of names) ip('netns', 'delete', nameOf(which))
    },
  }
}

/** Whether this machine lets us make namespaces at all. */
export async function canMakeNamespaces(): Promise<boolean> {
  const [code] = (await once(spawn('unshare', ['--net', 'true'], { stdio: 'ignore' }), 'close')) as [number | null]
  return code === 0
}
