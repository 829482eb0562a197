import { execFile } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { createWorld } from '../../support/world.ts'
import type { StopReport } from './stop-child.ts'

const run = promisify(execFile)

describe('a gateway that is stopped', () => {
  it('records what it cut, listens no more, and keeps no process alive', async () => {
    const child = new URL('stop-child.ts', import.meta.url).pathname
    // Ended by the time limit, it would have no exit code of its own.
    const { stdout } = await run(process.execPath, [child], { timeout: 15_000 })
    const { audited, port } = JSON.parse(stdout) as StopReport
    expect([...audited].sort()).toEqual(['good.test interrupted', 'slow.test failed', 'tunnel.test interrupted'])
    const socket = net.connect({ port, host: '127.0.0.1' })
    const [error] = (await once(socket, 'error')) as [Error & { code: string }]
    expect(error.code).toBe('ECONNREFUSED')
  })

  it('may be stopped twice', async () => {
    const world = await createWorld({ rules: () => [] })
    await world.gateway.stop()
    await world.gateway.stop()
    await world[Symbol.asyncDispose]()
  })
})
