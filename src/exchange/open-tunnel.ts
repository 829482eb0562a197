/**
 * Open, as a tunnel: bytes we do not read, to a host that no rule asks more about.
 *
 * Promises: judge, resolve, dial, then 200, then the ClientHello is checked, and only then does a byte of the client reach
 * the origin. A session that ends or a policy that narrows cuts it.
 */

import { type AddressPermit, decideAddress } from '../policy/decide-address.ts'
import { decideHost, type HostPermit } from '../policy/decide-host.ts'
import { type Deny, deny } from '../policy/decision.ts'
import type { Cuttable, CutReason, LiveSession, Session } from '../sessions/session.ts'
import type { HostBudget } from '../sessions/host-budget.ts'
import type { Dialled } from '../upstream/dial.ts'
import type { Meter } from '../upstream/meter.ts'
import { resetSocket } from '../upstream/reset-socket.ts'
import { joinTunnel, type Tunnel, type TunnelEnd } from '../upstream/tunnel.ts'
import type { Watched } from './deadlines.ts'
import { readFirstBytes } from './first-bytes.ts'
import type { Connect, Opened } from './handle-connect.ts'
import { judgeServerName, openPlain } from './open-intercepted.ts'
import { interrupted, type Outcome } from './outcome.ts'
import type { Rooms } from './rooms.ts'

/** When a line says that a tunnel is open. */
const openRecordAfterMs = 1000

export async function openTunnel(
  rooms: Rooms,
  connect: Connect,
  live: LiveSession,
  permit: HostPermit,
): Promise<Opened> {
  const { socket, facts } = connect
  const { authority } = permit
  facts.rule = permit.candidates.find((rule) => rule.action === 'allow') ?? null
  const budget = live.budget.admit(authority.host.name, facts.startedAt, 0)
  if ('kind' in budget) return budget
  const asked = rooms.resolve(authority.host)
  const answer = 'then' in asked ? await asked : asked
  if (answer.kind === 'failed') return answer
  const address = decideAddress(permit, answer.addresses, rooms.isOwn)
  if (address.kind === 'deny') return address

  const began = performance.now()
  const dialled = await rooms.dial(address.permit)
  if (dialled.kind === 'failed') return dialled
  facts.connectMs = performance.now() - began
  facts.address = dialled.address
  facts.via = dialled.via
  const discard = (): void => void dialled.socket.on('error', ignore).destroy()
  if (live.ended || socket.destroyed) {
    discard()
    return live.ended
      ? deny('session_unknown', 'revoked')
      : { kind: 'abandoned', detail: 'the client left while the origin was dialled' }
  }

  // Until the client has spoken, an origin that goes away must not end the process.
  dialled.socket.on('error', ignore)
  socket.write(connect.voice.established)
  const first = await readFirstBytes(socket, connect.early, rooms.limits.firstBytesMs)
  if (first.kind !== 'tls') {
    discard()
    return openPlain(rooms, connect, live, authority, null, first)
  }
  const refusal =
    judgeServerName(first.serverName, authority) ??
    judgeAgain(rooms, live, address.permit) ??
    spendOn(budget, first.bytes)
  if (refusal !== null || dialled.socket.destroyed) {
    discard()
    resetSocket(connect.connection.start.raw)
    const outcome = refusal ?? {
      kind: 'failed' as const,
      code: 'origin_closed' as const,
      cause: 'before the first byte',
    }
    return { kind: 'told', outcome, status: 200 }
  }
  return relay(rooms, connect, { live, address: address.permit, budget }, dialled, first.bytes)
}

/** The session may have ended, and its policy narrowed, while the client took its time to speak: nothing cuts us yet. */
function judgeAgain(rooms: Rooms, live: LiveSession, address: AddressPermit): Deny | null {
  return live.ended ? deny('session_unknown', 'revoked') : refuseTunnel(rooms, live.current, address)
}

/** What a tunnel is asked for as long as it is open. */
function refuseTunnel(rooms: Rooms, session: Session, { authority, addresses }: AddressPermit): Deny | null {
  const where = decideHost(session, authority)
  if (where.kind === 'deny') return where
  if (where.permit.route !== 'tunnel') return deny('host_not_allowed', `${authority.text}: no tunnel any more`)
  const dialled = decideAddress(where.permit, addresses, rooms.isOwn)
  return dialled.kind === 'deny' ? dialled : null
}

/** What was read already is the first that goes on. */
function spendOn(budget: HostBudget, first: Buffer): Deny | null {
  return budget.takeUp(first.length) ? null : deny('upload_limit', 'at the first byte')
}

/** What a tunnel is held by. */
type Held = { readonly live: LiveSession; readonly address: AddressPermit; readonly budget: HostBudget }

async function relay(rooms: Rooms, connect: Connect, held: Held, dialled: Dialled, first: Buffer): Promise<Opened> {
  const { facts, socket } = connect
  facts.kind = 'tunnel'
  rooms.tunnels.open++
  const hold = new TunnelHold(rooms, connect, held)
  const raw = { client: connect.connection.start.raw, origin: dialled.raw }
  const tunnel = joinTunnel(socket, dialled.socket, first, rooms.relayed, hold, raw)
  hold.tunnel = tunnel
  held.live.open.add(hold)
  rooms.deadlines.add(hold)
  const end = await tunnel.done
  rooms.deadlines.delete(hold)
  held.live.open.delete(hold)
  rooms.tunnels.open--
  facts.bytesUp = end.bytesUp
  facts.bytesDown = end.bytesDown
  return { kind: 'told', outcome: outcomeOf(end.how, hold.cutWhy), status: 200 }
}

function outcomeOf(how: TunnelEnd['how'], cutWhy: CutReason): Outcome {
  switch (how) {
    case 'cut':
      return interrupted(cutWhy)
    case 'idle':
      return interrupted('idle')
    case 'ended':
    case 'reset':
      return { kind: 'completed', status: 200 }
  }
}

/** An open tunnel as its session, its budget and the clock see it. */
class TunnelHold implements Cuttable, Meter, Watched {
  tunnel: Tunnel | null = null
  cutWhy: CutReason = 'revoked'
  readonly #rooms: Rooms
  readonly #connect: Connect
  readonly #held: Held
  readonly #openedAt = performance.now()
  #isCut = false
  #bytes = -1
  #since = this.#openedAt

  constructor(rooms: Rooms, connect: Connect, held: Held) {
    this.#rooms = rooms
    this.#connect = connect
    this.#held = held
  }

  takeUp(bytes: number): boolean {
    const fits = this.#held.budget.takeUp(bytes)
    if (!fits) this.cut('upload_limit')
    return fits
  }

  takeDown(bytes: number): boolean {
    const fits = this.#held.budget.takeDown(bytes)
    if (!fits) this.cut('download_limit')
    return fits
  }

  stillAllowed(session: Session): boolean {
    return refuseTunnel(this.#rooms, session, this.#held.address) === null
  }

  /** The first that cuts it says why. */
  cut(why: CutReason): void {
    if (this.#isCut) return
    this.#isCut = true
    this.cutWhy = why
    this.tunnel?.cut('cut')
  }

  check(now: number): void {
    const { facts } = this.#connect
    const late = !facts.opened && now - facts.startedAt > openRecordAfterMs
    if (facts.nearsLimits() || late) {
      facts.opened = true
      this.#rooms.sink.append(facts.openRecord(now))
    }
    const { idleTimeoutMs, tunnelDurationMs } = this.#held.live.budget.limits
    const bytes = this.tunnel?.bytes() ?? 0
    if (now - this.#openedAt > tunnelDurationMs) this.cut('outlived')
    else if (bytes !== this.#bytes) {
      this.#bytes = bytes
      this.#since = now
    } else if (now - this.#since > Math.min(this.#rooms.limits.tunnelIdleMs, idleTimeoutMs)) this.tunnel?.cut('idle')
  }
}

function ignore(): void {}
