/**
 * The system's own names, where the system's name servers are asked too (hosts(5)): container runtimes put names there.
 *
 * Promises: what it says is judged like any answer of DNS; a file that cannot be read has no names; a line that is not
 * plainly addresses and names is passed over.
 */

import { readFileSync, statSync } from 'node:fs'
import { parseHost } from '../net/host.ts'
import { type Ip, parseIp } from '../net/ip.ts'

/** Looked at again no more often than this. */
const lookEveryMs = 1000
/** A list of blocked names may have a hundred thousand lines; beyond this it is no hosts file. */
const fileBytesMax = 16 * 1024 * 1024

export type HostsFile = (name: string) => readonly Ip[] | null

export function createHostsFile(path: string): HostsFile {
  let names: ReadonlyMap<string, readonly Ip[]> = new Map()
  let version = ''
  let lookedAt = Number.NEGATIVE_INFINITY
  return (name) => {
    const now = performance.now()
    if (now - lookedAt > lookEveryMs) {
      lookedAt = now
      const found = versionOf(path)
      if (found !== version) {
        version = found
        names = found === '' ? new Map() : readNames(path)
      }
    }
    return names.get(name) ?? null
  }
}

function versionOf(path: string): string {
  const stats = statSync(path, { throwIfNoEntry: false })
  return stats === undefined || stats.size > fileBytesMax ? '' : `${stats.ino} ${stats.size} ${stats.mtimeMs}`
}

function readNames(path: string): ReadonlyMap<string, readonly Ip[]> {
  try {
    return parseHostsFile(readFileSync(path, 'utf8'))
  } catch {
    return new Map()
  }
}

export function parseHostsFile(text: string): ReadonlyMap<string, readonly Ip[]> {
  const names = new Map<string, Ip[]>()
  for (const line of text.split('\n')) {
    const [address, ...aliases] = line.replace(/#.*/, '').trim().split(/\s+/)
    const ip = parseIp(address ?? '')
    if (ip === null) continue
    for (const alias of aliases) {
      const host = parseHost(alias)
      if (host === null || host.ip !== null) continue
      const known = names.get(host.name)
      if (known === undefined) names.set(host.name, [ip])
      else known.push(ip)
    }
  }
  return names
}
