import net from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ProcessLimitKey, parseProcessLimit, processLimits } from '../../../src/config/process-limits.ts'
import { type ActiveExchange, Connection, type ConnectionStart } from '../../../src/exchange/connection.ts'
import type { Session } from '../../../src/sessions/session.ts'
import { authorityOf, liveOf, sessionOf } from './fixture.ts'

const limits = { headMs: 100, keepAliveMs: 1000, exchangeIdleMs: 500 }
let socket: net.Socket
let read: number
let written: number

beforeEach(() => {
  socket = new net.Socket()
  socket.on('error', () => undefined)
  read = 0
  written = 0
  Object.defineProperty(socket, 'bytesRead', { get: () => read })
  Object.defineProperty(socket, 'bytesWritten', { get: () => written })
})
afterEach(() => void socket.destroy())

function connectionOf(changes: Partial<ConnectionStart> = {}): Connection {
  return new Connection({
    listener: 'l',
    client: null,
    peer: null,
    listenerSession: null,
    raw: socket,
    stream: socket,
    place: { kind: 'proxy' },
    bound: null,
    refusal: null,
    userAgent: null,
    limits,
    ...changes,
  })
}

function activeOf(isAllowed: (session: Session) => boolean = () => true): ActiveExchange {
  return {
    stillAllowed: isAllowed,
    check: () => undefined,
    cut: () => null,
    interrupt: () => undefined,
    drained: () => undefined,
    leave: () => undefined,
  }
}

/** Milliseconds from now, as the sweep says them. */
function later(ms: number): number {
  return performance.now() + ms
}

describe('between requests', () => {
  it('silence is allowed for the keep-alive time, and ends it then', () => {
    const connection = connectionOf()
    connection.check(later(900))
    expect(socket.destroyed).toBe(false)
    connection.check(later(1100))
    expect(socket.destroyed).toBe(true)
  })

  it('silence after a challenge is allowed for a moment', () => {
    const connection = connectionOf({ limits: { ...limits, keepAliveMs: 60_000 } })
    connection.challenged = true
    connection.check(later(2500))
    expect(socket.destroyed).toBe(false)
    connection.check(later(3500))
    expect(socket.destroyed).toBe(true)
  })
})

describe('a head that has begun', () => {
  it('has its own time, from the sweep that saw it, however it drips', () => {
    const connection = connectionOf()
    let timeouts = 0
    connection.onHeadTimeout = () => void timeouts++
    read = 1
    connection.check(later(0))
    read = 2
    connection.check(later(90))
    expect(timeouts).toBe(0)
    read = 3
    connection.check(later(150))
    expect(timeouts).toBe(1)
  })

  it('counts although its bytes were read before and put back', () => {
    read = 5
    const connection = connectionOf()
    connection.finish(5)
    let timeouts = 0
    connection.onHeadTimeout = () => void timeouts++
    connection.check(later(0))
    connection.check(later(150))
    expect(timeouts).toBe(1)
  })

  it('that became a request starts anew with the next one', () => {
    const connection = connectionOf()
    let timeouts = 0
    connection.onHeadTimeout = () => void timeouts++
    read = 10
    connection.check(later(0))
    connection.begin(activeOf())
    connection.finish()
    connection.check(later(150))
    read = 11
    connection.check(later(160))
    connection.check(later(250))
    expect(timeouts).toBe(0)
    connection.check(later(300))
    expect(timeouts).toBe(1)
  })

  it('cuts where no door reads', () => {
    const connection = connectionOf()
    read = 1
    connection.check(later(0))
    connection.check(later(150))
    expect([socket.destroyed, connection.poisoned]).toEqual([true, true])
  })
})

describe('an exchange', () => {
  it('lives while bytes move in either direction, and is cut when none did', () => {
    const connection = connectionOf()
    connection.begin(activeOf())
    read = 1
    connection.check(later(400))
    written = 1
    connection.check(later(800))
    connection.check(later(1200))
    expect(socket.destroyed).toBe(false)
    connection.check(later(1400))
    expect([socket.destroyed, connection.cutWhy]).toEqual([true, 'idle'])
  })

  it.each<ProcessLimitKey>(['exchangeIdleTimeout', 'originHeadTimeout', 'tunnelIdleTimeout'])(
    'may be silent for ten minutes where nobody says otherwise: %s',
    (key) => expect(parseProcessLimit(key, processLimits[key].default)).toBeGreaterThanOrEqual(600_000),
  )

  it('that is silent for ten minutes lives by the limits of the gateway, and not for an hour', () => {
    const exchangeIdleMs = Number(parseProcessLimit('exchangeIdleTimeout', processLimits.exchangeIdleTimeout.default))
    const connection = connectionOf({ limits: { ...limits, exchangeIdleMs } })
    connection.begin(activeOf())
    connection.check(later(0))
    for (let minutes = 1; minutes <= 10; minutes++) connection.check(later(minutes * 60_000))
    expect(connection.cutWhy).toBeNull()
    connection.check(later(3_600_000))
    expect(connection.cutWhy).toBe('idle')
  })

  it('ends soon when the client has said its last word and nothing moves', () => {
    const connection = connectionOf({ limits: { ...limits, exchangeIdleMs: 60_000 } })
    connection.begin(activeOf())
    connection.ended = true
    connection.check(later(0))
    connection.check(later(4500))
    expect(socket.destroyed).toBe(false)
    connection.check(later(5500))
    expect([socket.destroyed, connection.cutWhy]).toEqual([true, null])
  })

  it('is asked once a sweep, and never for silence between requests', () => {
    const connection = connectionOf()
    let checks = 0
    connection.begin({ ...activeOf(), check: () => void checks++ })
    for (let ms = 0; ms < 400; ms += 100) connection.check(later(ms))
    expect([checks, connection.requests]).toEqual([4, 1])
  })
})

describe('the rest of a body that nobody wants', () => {
  it('is read for a moment', () => {
    const connection = connectionOf()
    connection.drain()
    connection.check(later(4500))
    expect(socket.destroyed).toBe(false)
    connection.check(later(5500))
    expect(socket.destroyed).toBe(true)
  })

  it('is read to a bound', () => {
    const connection = connectionOf()
    connection.drain()
    read = 17 * 1024 * 1024
    connection.check(later(0))
    expect(socket.destroyed).toBe(true)
  })

  it('that has come to its end leaves the connection as it was', () => {
    const connection = connectionOf()
    connection.drain()
    connection.drained(0)
    connection.check(later(900))
    expect(socket.destroyed).toBe(false)
  })
})

describe('sessions', () => {
  it('hold the connection once, and let it go when it is closed', () => {
    const [one, two] = [liveOf(sessionOf([])), liveOf(sessionOf([], 'enforce', 's-2'))]
    const connection = connectionOf({ bound: one })
    for (let i = 0; i < 100; i++) {
      connection.carry(one)
      connection.carry(two)
    }
    expect([one.open.size, two.open.size]).toEqual([1, 1])
    connection.closed()
    expect([one.open.size, two.open.size]).toEqual([0, 0])
  })

  it('that no longer reach the host of a tunnel end it; others do not', () => {
    const bound = liveOf(sessionOf([{ host: 'api.test' }]))
    const place = { kind: 'tunnel' as const, scheme: 'https' as const, authority: authorityOf('api.test:443') }
    const connection = connectionOf({ bound, place })
    expect(connection.stillAllowed(sessionOf([{ host: 'api.test' }]))).toBe(true)
    expect(connection.stillAllowed(sessionOf([{ host: 'other.test' }]))).toBe(false)
    expect(connection.stillAllowed(sessionOf([], 'enforce', 's-2'))).toBe(true)
  })

  it('are asked by the exchange under way', () => {
    const connection = connectionOf()
    expect(connection.stillAllowed(sessionOf([]))).toBe(true)
    connection.begin(activeOf(() => false))
    expect(connection.stillAllowed(sessionOf([]))).toBe(false)
  })
})

describe('a cut', () => {
  it('is done once, and the first reason counts', () => {
    const connection = connectionOf()
    connection.cut('idle')
    connection.cut('revoked')
    connection.cut()
    expect([connection.cutWhy, connection.poisoned, socket.destroyed]).toEqual(['idle', true, true])
  })
})
