/**
 * What stands beyond the gateway of a namespace test, as a process of its own in a namespace of its own: an origin, a
 * metadata service and a DNS server, at the addresses that these have in the world.
 *
 * Run as `node outside-world.ts DIRECTORY`: writes `origin-ca.pem` there, says `ready`, and then each name it is asked for.
 */

import { writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { outside } from './sandbox-namespaces.ts'
import { startDnsStandIn } from './dns-stand-in.ts'
import { createTestCa } from './test-ca.ts'

const ca = createTestCa()
writeFileSync(join(process.argv[2] ?? '.', 'origin-ca.pem'), ca.certificate)

const answer = 'hello from outside\n'
const secure = createHttpsServer(
  { SNICallback: (name, done) => done(null, ca.contextFor(name)) },
  (_request, response) => response.end(answer),
)
const plain = (): ReturnType<typeof createHttpServer> => createHttpServer((_request, response) => response.end(answer))
const silent = createServer((socket) => socket.destroy())

const listening = [
  [secure, 443, outside.address],
  [plain(), 80, outside.address],
  [plain(), 80, outside.metadata],
  [silent, 53, outside.address],
  [createServer((socket) => socket.destroy()), 443, outside.address6],
] as const
await Promise.all(
  listening.map(([server, port, host]) => new Promise<void>((resolve) => server.listen(port, host, resolve))),
)
const dns = await startDnsStandIn({ 'example.com': { a: [outside.address] } }, { address: outside.address, port: 53 })
process.stdout.write('ready\n')

let told = 0
setInterval(() => {
  for (const { name } of dns.queries.slice(told)) process.stdout.write(`asked for ${name}\n`)
  told = dns.queries.length
}, 20)
