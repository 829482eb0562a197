/**
 * Listeners, static sessions and the control API: what they may be, and whether together they leave a door open.
 *
 * Promises: nobody becomes a static session by merely reaching a port (decision 5); no two doors share an address.
 */

import { parseIp, type Ip, parseCidr } from '../net/ip.ts'
import type { IssueList } from '../policy/issue.ts'
import { isRecord } from '../policy/schema-issues.ts'
import { checkListener } from './parse-listener.ts'

type Written = Readonly<Record<string, unknown>>

/** Where a door is: on a Unix socket, or on an address of this machine. */
type DoorAddress = { readonly kind: 'tcp'; readonly ip: Ip; readonly port: number } | { readonly kind: 'unix' }

const addressForms = 'write an address and a port, as in 127.0.0.1:3128 or [::1]:3128, or unix:/path'

export function checkListeners(config: Written, issues: IssueList): void {
  const statics = new Map(staticsOf(config).map((session) => [session['id'], session]))
  const taken = new Map<unknown, string>([[of(config['control'])['address'], 'control.address']])
  for (const [index, listener] of listOf(config['listeners']).entries()) {
    const at = ['listeners', index]
    const { address, session } = { address: listener['address'], session: listener['session'] }
    if (typeof address !== 'string') continue
    const door = parseDoor(address)
    if (door === null) issues.add([...at, 'address'], `${JSON.stringify(address)} is nowhere to listen`, addressForms)
    const holder = taken.get(address)
    if (holder !== undefined && !address.endsWith(':0'))
      issues.add([...at, 'address'], `is the same as ${holder}`, 'give each door its own')
    taken.set(address, `listeners[${index}].address`)
    checkListener(listener, at, issues)
    if (typeof session !== 'string') continue
    const known = statics.get(session)
    if (known === undefined)
      issues.add([...at, 'session'], `there is no static session "${session}"`, 'add it under sessions.static')
    else if (
      door?.kind === 'tcp' &&
      !isLoopback(door.ip) &&
      known['sources'] === undefined &&
      known['certificate'] === undefined &&
      known['token'] === undefined
    )
      issues.add(
        [...at, 'session'],
        `everyone who reaches ${address} would be "${session}"`,
        'listen on loopback or a Unix socket, or give the session "sources:", a "certificate:" or a "token:"',
      )
  }
}

export function checkSessions(config: Written, issues: IssueList): void {
  const doors = of(of(config['sessions'])['doors'])
  const { address, directory } = { address: doors['address'], directory: doors['directory'] }
  if (typeof address === 'string' && (parseIp(address) === null || parseIp(address)?.value === 0n))
    issues.add(['sessions', 'doors', 'address'], `${JSON.stringify(address)} is no address`, 'write 127.0.0.1')
  // The path of a socket is cut by the kernel at 108 bytes; the session's folder and the socket come behind this.
  if (typeof directory === 'string' && Buffer.byteLength(directory) > 80)
    issues.add(['sessions', 'doors', 'directory'], 'is too long for sockets within it', 'write 80 bytes at most')
  const proven = new Set(listOf(config['listeners']).map((listener) => listener['session']))
  const asksForCertificates = listOf(config['listeners']).some(({ tls }) => of(tls)['clientCa'] !== undefined)
  const ids = new Map<unknown, number>()
  for (const [index, session] of staticsOf(config).entries()) {
    const at = ['sessions', 'static', index]
    const id = session['id']
    const before = ids.get(id)
    if (before !== undefined)
      issues.add([...at, 'id'], `is the id of sessions.static[${before}] too`, 'give it another')
    ids.set(id, index)
    if (typeof id === 'string' && /^s-[a-z2-7]{12}$/.test(id))
      issues.add([...at, 'id'], 'looks like an id that the gateway makes itself', 'give it a name')
    for (const [place, block] of (Array.isArray(session['sources']) ? session['sources'] : []).entries()) {
      if (typeof block === 'string' && parseCidr(block) === null)
        issues.add(
          [...at, 'sources', place],
          `${JSON.stringify(block)} is not a block of addresses`,
          'write the prefix, as in 10.0.0.0/8',
        )
    }
    if (session['certificate'] !== undefined && !asksForCertificates)
      issues.add(
        [...at, 'certificate'],
        'no listener asks for certificates',
        'give one of the listeners "tls: { clientCa: FILE }"',
      )
    const proofs = ['sources', 'certificate', 'token']
    if (!proven.has(id) && proofs.every((proof) => session[proof] === undefined))
      issues.add(
        at,
        'nothing proves who it is',
        'name it on a listener, or give it "sources:", a "certificate:" or a "token:"',
      )
  }
}

/** What is allowed and still worth a word comes back as warnings. */
export function checkControl(config: Written, issues: IssueList): string[] {
  const control = of(config['control'])
  const address = control['address']
  const door = typeof address === 'string' ? parseDoor(address) : null
  if (typeof address === 'string' && door === null)
    issues.add(['control', 'address'], `${JSON.stringify(address)} is nowhere to listen`, addressForms)
  const names = new Map<unknown, number>()
  for (const [index, token] of listOf(control['tokens']).entries()) {
    const at = ['control', 'tokens', index]
    const before = names.get(token['name'])
    if (before !== undefined)
      issues.add([...at, 'name'], `is the name of control.tokens[${before}] too`, 'give it another')
    names.set(token['name'], index)
    if (isRecord(token['secret']) && Object.keys(token['secret']).length !== 1)
      issues.add([...at, 'secret'], 'does not say where the secret comes from', 'write { env: NAME } or { file: PATH }')
    const ceiling = of(token['ceiling'])
    for (const key of ['addresses', 'sources']) {
      for (const [place, block] of (Array.isArray(ceiling[key]) ? ceiling[key] : []).entries()) {
        if (typeof block === 'string' && parseCidr(block) === null)
          issues.add(
            [...at, 'ceiling', key, place],
            `${JSON.stringify(block)} is not a block of addresses`,
            'write the prefix, as in 10.0.0.0/8',
          )
      }
    }
  }
  return door?.kind === 'tcp' && !isLoopback(door.ip)
    ? [`control.address: ${String(address)} is reached over the network without TLS: tokens can be read on the way`]
    : []
}

function parseDoor(text: string): DoorAddress | null {
  if (text.startsWith('unix:')) {
    // A longer path would be cut by the kernel without a word: sun_path has 108 bytes.
    const path = text.slice(5)
    return path.startsWith('/') && Buffer.byteLength(path) < 108 && !path.includes('\0') ? { kind: 'unix' } : null
  }
  const match = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+)):([0-9]{1,5})$/i.exec(text)
  const ip = parseIp(match?.[1] ?? match?.[2] ?? '')
  const port = Number(match?.[3])
  return ip === null || port > 65_535 ? null : { kind: 'tcp', ip, port }
}

function isLoopback({ bits, value }: Ip): boolean {
  return bits === 32 ? value >> 24n === 127n : value === 1n
}

function staticsOf(config: Written): Written[] {
  return listOf(of(config['sessions'])['static'])
}

function of(value: unknown): Written {
  return isRecord(value) ? value : {}
}

/** Items that are no groups keep their place, so that indexes still say where. */
function listOf(value: unknown): Written[] {
  return Array.isArray(value) ? value.map(of) : []
}
