import { Duplex } from 'node:stream'
import net from 'node:net'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Deadlines } from '../../../src/exchange/deadlines.ts'

let deadlines: Deadlines
beforeEach(() => {
  vi.useFakeTimers()
  deadlines = new Deadlines(100)
})
afterEach(() => {
  deadlines.close()
  vi.useRealTimers()
})

describe('what is watched', () => {
  it('is asked once a sweep with the time, until it is not watched any more', () => {
    const asked: number[] = []
    const watched = { check: (now: number) => void asked.push(now) }
    deadlines.add(watched)
    deadlines.add(watched)
    vi.advanceTimersByTime(350)
    expect(asked).toHaveLength(3)
    expect(asked[1]).toBeGreaterThan(asked[0] ?? Number.POSITIVE_INFINITY)
    deadlines.delete(watched)
    vi.advanceTimersByTime(350)
    expect(asked).toHaveLength(3)
  })

  it('may leave, or bring others, while it is asked', () => {
    let others = 0
    const other = { check: () => void others++ }
    const leaving = {
      check: () => {
        deadlines.delete(leaving)
        deadlines.add(other)
      },
    }
    deadlines.add(leaving)
    vi.advanceTimersByTime(210)
    expect(others).toBeGreaterThanOrEqual(1)
  })

  it('is asked no more once closed', () => {
    let asked = 0
    deadlines.add({ check: () => void asked++ })
    deadlines.close()
    vi.advanceTimersByTime(1000)
    expect(asked).toBe(0)
  })
})

describe('a socket that was told its last answer', () => {
  it('may linger for two seconds and is gone then', () => {
    const socket = new net.Socket()
    deadlines.lingerThenDestroy(socket, socket)
    vi.advanceTimersByTime(1900)
    expect(socket.destroyed).toBe(false)
    vi.advanceTimersByTime(300)
    expect(socket.destroyed).toBe(true)
  })

  it('takes it at its own pace, and is gone when it takes none', () => {
    const socket = new net.Socket().on('error', () => undefined)
    let length = 40_000
    vi.spyOn(socket, 'writableLength', 'get').mockImplementation(() => length)
    deadlines.lingerThenDestroy(socket, socket)
    for (; length > 10_000; length -= 10_000) vi.advanceTimersByTime(20_000)
    expect(socket.destroyed).toBe(false)
    vi.advanceTimersByTime(31_000)
    expect(socket.destroyed).toBe(true)
  })

  it('is forgotten when it closes by itself', () => {
    const socket = new net.Socket()
    const destroy = vi.spyOn(socket, 'destroy')
    deadlines.lingerThenDestroy(socket, socket)
    Duplex.prototype.emit.call(socket, 'close')
    vi.advanceTimersByTime(5000)
    expect(destroy).not.toHaveBeenCalled()
    socket.destroy()
  })
})
