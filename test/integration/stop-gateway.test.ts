import { readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { hold } from '../support/held-streams.ts'
import { startSite } from '../support/local-ca-origin.ts'
import { linesOf, startRealGateway } from '../support/real-clients.ts'

it('cuts what is open when it stops, and the record says that it was us', async () => {
  await using site = await startSite()
  const rule = { addresses: ['127.0.0.0/8'], ports: [site.httpPort, site.httpsPort] }
  await using world = await startRealGateway({
    hosts: ['look.test', 'tunnel.test'],
    originCa: site.ca.certificate,
    policies: {
      live: [
        { host: 'look.test', methods: ['GET'], ...rule },
        { host: 'tunnel.test', ...rule },
      ],
    },
  })
  const sandbox = await world.sandbox('live')
  const streams = [
    await hold(world, site, sandbox, 'tunnel.test', 'tunnel'),
    await hold(world, site, sandbox, 'look.test', 'interception'),
    await hold(world, site, sandbox, 'look.test', 'plain'),
  ]
  await world.gateway.stop()
  for (const stream of streams) {
    await stream.ended()
    expect(stream.end()).toBe('reset')
  }
  const records = linesOf(await readFile(world.auditFile, 'latin1')).filter(({ event }) => event === 'final')
  expect(records.map(({ outcome, detail }) => [outcome, detail])).toEqual(
    streams.map(() => ['interrupted', 'the gateway stops']),
  )
})
