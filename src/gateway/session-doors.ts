/**
 * Doors of single sessions, for clients that cannot prove themselves to a proxy: a Unix socket or a port on which everyone
 * is that session, opened and closed while the gateway runs.
 *
 * Promises: a door closes with its session, and what came in by it is cut; it is a door of our own while it is open, so no
 * sandbox reaches it through us; a door on an address that others reach is for sessions with sources only.
 */

import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { SessionDoorsConfig } from '../config/config-schema.ts'
import type { ProxyListener } from '../listeners/proxy-listener.ts'
import { parseIp } from '../net/ip.ts'
import { classifyAddress } from '../policy/address-class.ts'
import type { BookedSession } from '../sessions/booked-session.ts'
import type { Cuttable, CutReason } from '../sessions/session.ts'
import type { Endpoint } from '../upstream/own-endpoints.ts'

export type DoorKind = 'port' | 'unix'

/** Why there is no door, in words for the caller. */
export type NoDoor = { readonly kind: 'no_door'; readonly detail: string }

export type SessionDoorsOptions = {
  readonly config: SessionDoorsConfig
  readonly listen: (address: string, session: string) => Promise<ProxyListener>
  /** Of our own; grows and shrinks with them. */
  readonly doors: Endpoint[]
  readonly log: (message: string) => void
}

export class SessionDoors {
  readonly #options: SessionDoorsOptions
  readonly #open = new Map<string, Door>()
  readonly #opening = new Set<string>()

  constructor(options: SessionDoorsOptions) {
    this.#options = options
  }

  /** `unix:/…` or `host:port`; null: it has none. */
  addressOf(id: string): string | null {
    return this.#open.get(id)?.listener.address ?? null
  }

  async open(session: BookedSession, kind: DoorKind): Promise<NoDoor | string> {
    const { config } = this.#options
    if (this.#open.has(session.id) || this.#opening.has(session.id)) return noDoor('it has one already')
    if (kind === 'unix') {
      if (config.directory === null) return noDoor('sessions.doors names no directory')
      return this.#listen(session, `unix:${join(config.directory, session.id, 'proxy.sock')}`)
    }
    if (config.address === null) return noDoor('sessions.doors names no address')
    if (!isLoopback(config.address) && session.sources === null)
      return noDoor('others reach this address: the session needs sources')
    return this.#listen(session, `${config.address}:0`)
  }

  /** Resolves when nobody gets in any more. False: there was none. */
  async close(id: string): Promise<boolean> {
    const door = this.#open.get(id)
    await door?.close()
    return door !== undefined
  }

  async #listen(session: BookedSession, address: string): Promise<NoDoor | string> {
    const { listen, log } = this.#options
    const folder = address.startsWith('unix:') ? join(address.slice(5), '..') : null
    this.#opening.add(session.id)
    try {
      // Each in a folder of its own, which is mounted into its sandbox and shows no other.
      if (folder !== null) await mkdir(folder, { recursive: true, mode: 0o755 })
      const listener = await listen(address, session.id)
      const door = new Door(session, listener, folder, this.#options, () => void this.#open.delete(session.id))
      this.#open.set(session.id, door)
      // It may have ended meanwhile, and nobody would close the door then.
      if (session.ended) await door.close()
      return session.ended ? noDoor('the session has ended') : listener.address
    } catch (error) {
      log(`session ${session.id}: no door at ${address}: ${error instanceof Error ? error.message : String(error)}`)
      return noDoor('the gateway cannot listen there')
    } finally {
      this.#opening.delete(session.id)
    }
  }
}

/** Held among what the session holds open, so whatever ends the session closes it. */
class Door implements Cuttable {
  readonly listener: ProxyListener
  readonly #session: BookedSession
  readonly #folder: string | null
  readonly #options: SessionDoorsOptions
  readonly #onClosed: () => void
  #closing: Promise<void> | null = null

  constructor(
    session: BookedSession,
    listener: ProxyListener,
    folder: string | null,
    options: SessionDoorsOptions,
    onClosed: () => void,
  ) {
    this.#session = session
    this.listener = listener
    this.#folder = folder
    this.#options = options
    this.#onClosed = onClosed
    if (typeof listener.bound === 'object') options.doors.push(listener.bound)
    session.open.add(this)
  }

  /** Which requests may pass is judged one by one. */
  stillAllowed(): boolean {
    return true
  }

  cut(why: CutReason): void {
    // A session whose policy does not resolve may have one that does again; whoever came in was cut by itself.
    if (why === 'narrowed')
      queueMicrotask(() => {
        if (this.#closing === null) this.#session.open.add(this)
      })
    else void this.close()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const { doors } = this.#options
    const { bound } = this.listener
    this.#session.open.delete(this)
    this.#onClosed()
    await this.listener.close()
    const at = typeof bound === 'object' ? doors.indexOf(bound) : -1
    if (at >= 0) doors.splice(at, 1)
    if (this.#folder !== null) await rm(this.#folder, { recursive: true, force: true }).catch(() => undefined)
  }
}

function isLoopback(address: string): boolean {
  const ip = parseIp(address.replace(/^\[|\]$/g, ''))
  return ip !== null && classifyAddress(ip) === 'loopback'
}

function noDoor(detail: string): NoDoor {
  return { kind: 'no_door', detail }
}
