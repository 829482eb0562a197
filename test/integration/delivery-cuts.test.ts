import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { CutsReport } from './delivery-cuts-child.ts'

const run = promisify(execFile)

describe('connections that are cut under load', () => {
  it('leave a process alive, without warnings, sockets or unrecorded exchanges', async () => {
    const child = new URL('delivery-cuts-child.ts', import.meta.url).pathname
    const { stdout } = await run(process.execPath, [child], { timeout: 120_000 })
    const report = JSON.parse(stdout) as CutsReport
    expect(report).toEqual({ warnings: [], served: 84, openSockets: 0, openHolds: 0, unrecorded: 0 })
  }, 130_000)
})
