/** A process that starts a gateway, leaves work under way, stops it, and must then end by itself. Prints what it saw. */

import { RawClient } from '../../support/raw-client.ts'
import { createWorld } from '../../support/world.ts'

export type StopReport = { readonly audited: readonly string[]; readonly port: number }

const world = await createWorld({
  // No deadline is what this is about, and the machine may be busy.
  limits: { firstBytesTimeoutMs: 15_000, handshakeTimeoutMs: 15_000, headTimeoutMs: 15_000 },
  rules: ({ http, https }) => [
    { host: 'good.test', ports: [http], addresses: ['127.0.0.0/8'] },
    { host: 'tunnel.test', ports: [https], addresses: ['127.0.0.0/8'] },
    { host: 'slow.test' },
  ],
  dns: { 'good.test': { a: ['127.0.0.1'] }, 'tunnel.test': { a: ['127.0.0.1'] }, 'slow.test': 'silence' },
})
const session = await world.newSession()
const proof = `Proxy-Authorization: ${session.authorization}\r\n`
world.http.answer = (_request, socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc')
const plain = `good.test:${world.ports.http}`
const download = await RawClient.connect(world.ports.proxy)
await download.send(`GET http://${plain}/ HTTP/1.1\r\nHost: ${plain}\r\n${proof}\r\n`)
while (download.unread.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))

const slow = await RawClient.connect(world.ports.proxy)
await slow.send(`CONNECT slow.test:443 HTTP/1.1\r\n${proof}\r\n`)

const authority = `tunnel.test:${world.ports.https}`
const tunnel = await RawClient.connect(world.ports.proxy)
await tunnel.send(`CONNECT ${authority} HTTP/1.1\r\n${proof}\r\n`)
await tunnel.response({ bodiless: true })
await tunnel.startTls({ servername: 'tunnel.test', ca: world.originCa.certificate })

await world.gateway.stop()
const lines = (await world.auditText()).trim().split('\n')
const report: StopReport = {
  audited: lines.map((line) => {
    const { host, outcome } = JSON.parse(line) as { host: string; outcome: string }
    return `${host} ${outcome}`
  }),
  port: world.ports.proxy,
}
for (const client of [download, slow, tunnel]) client.destroy()
await world[Symbol.asyncDispose]()
process.stdout.write(`${JSON.stringify(report)}\n`)
