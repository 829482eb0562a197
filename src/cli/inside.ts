/**
 * Our part inside an isolated run: a bridge from loopback to the gateway's socket, and the command.
 *
 * Run as a program of its own, with a socket as descriptor 3: one line of JSON comes in (`InsideWish`), then names of
 * signals, a line each; one line goes out at the end, with the command's. Promises: when that socket closes, the command ends.
 */

import { connect, createServer, Socket } from 'node:net'
import { constants } from 'node:os'
import { createInterface } from 'node:readline'
import { runChild } from './child-process.ts'

export type InsideWish = {
  readonly command: readonly [string, ...string[]]
  readonly environment: Readonly<Record<string, string>>
  readonly cwd: string
  readonly hasTerminal: boolean
  readonly gatewaySocket: string
  readonly port: number
}

/** Our own process wrote it. */
function parseWish(line: string): InsideWish {
  return JSON.parse(line) as InsideWish
}

function parseSignal(line: string): NodeJS.Signals | null {
  return line in constants.signals ? (line as NodeJS.Signals) : null
}

const channel = new Socket({ fd: 3, readable: true, writable: true })
const lines = createInterface({ input: channel })
let kill: ((signal: NodeJS.Signals) => void) | null = null

lines.once('line', (first) => {
  lines.on('line', (line) => {
    const signal = parseSignal(line)
    if (signal !== null) kill?.(signal)
  })
  void start(parseWish(first))
})
channel.on('error', () => undefined)
channel.on('close', () => process.exit(1))

async function start(wish: InsideWish): Promise<void> {
  await openBridge(wish)
  const { exitCode, problem } = await runChild({
    ...wish,
    onStart: (send) => {
      kill = send
    },
  })
  channel.end(`${JSON.stringify({ exitCode, problem })}\n`, () => process.exit(exitCode))
}

/** Nobody else is in this namespace yet, so the port is free. */
function openBridge({ gatewaySocket, port }: InsideWish): Promise<void> {
  const bridge = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const gateway = connect({ path: gatewaySocket, allowHalfOpen: true })
    carry(client, gateway)
    carry(gateway, client)
  })
  return new Promise((resolve) => bridge.listen(port, '127.0.0.1', resolve))
}

function carry(from: Socket, to: Socket): void {
  from.pipe(to)
  from.on('error', () => to.destroy())
  from.on('close', () => to.destroySoon())
}
