import { expect, it } from 'vitest'
import { RawClient } from '../support/raw-client.ts'
import { createWorld } from '../support/world.ts'

it('a connection beyond the limit of the process is told so, recorded once, and the ones before it go on', async () => {
  await using world = await createWorld({ rules: () => [], limits: { connectionsMax: 1 } })
  const first = await RawClient.connect(world.ports.proxy)
  // The first one is in before the second knocks.
  await first.send('GET http://good.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n')
  expect(await first.response()).toMatchObject({ status: 407 })

  const second = await RawClient.connect(world.ports.proxy)
  const refused = await second.response()
  expect(refused).toMatchObject({ status: 503 })
  expect(JSON.stringify(refused)).toContain('(overloaded)')
  expect(world.records.filter(({ reason }) => reason === 'overloaded')).toMatchObject([
    { outcome: 'deny', status: 503 },
  ])

  await first.send('GET http://good.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n')
  expect(await first.response()).toMatchObject({ status: 407 })
  first.destroy()
  second.destroy()
})
