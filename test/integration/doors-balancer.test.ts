/** Behind a balancer that says whom it speaks for by the PROXY protocol. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseCidr } from '../../src/net/ip.ts'
import { type Heard, RawClient } from '../support/raw-client.ts'
import { createWorld, type World } from '../support/world.ts'

const balancers = ['127.0.0.1/32', '::1/128'].flatMap((text) => parseCidr(text) ?? [])
const statics = [
  { id: 'agent', policy: 'agents', labels: {}, credentials: {}, refusal: 'auto', mode: null, token: null },
]

let folder: string
let world: World
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'policies-'))
  await writeFile(join(folder, 'agents.yaml'), 'version: 1\nname: agents\nrules: [{ host: allowed.test }]\n')
  world = await createWorld({
    rules: () => [],
    policies: folder,
    statics: statics.map((one) => ({ ...one, refusal: 'auto', sources: ['192.0.2.7/32'] })),
    listeners: [
      { address: '127.0.0.1:0', session: null, balancers },
      { address: '127.0.0.1:0', session: null, balancers: balancers.slice(1) },
    ],
  })
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

const ask = 'GET http://egress.local/ HTTP/1.1\r\nHost: egress.local\r\nConnection: close\r\n\r\n'
const line = 'PROXY TCP4 192.0.2.7 10.0.0.1 40000 3128\r\n'

async function send(...segments: readonly (Buffer | string)[]): Promise<Heard> {
  const client = await RawClient.connect(world.ports.proxy)
  await client.send(...segments)
  const heard = await client.response()
  client.destroy()
  return heard
}

function binary(source: readonly number[]): Buffer {
  const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
  return Buffer.concat([signature, Buffer.from([0x21, 0x11, 0, 12, ...source, 10, 0, 0, 1, 1, 2, 3, 4])])
}

describe('behind a balancer', () => {
  it.each([
    ['version 1', [line, ask]],
    ['version 1 in one packet with the request', [line + ask]],
    ['version 1 byte by byte', [...line.split(''), ask]],
    ['version 2', [binary([192, 0, 2, 7]), ask]],
    ['version 2 in pieces', [binary([192, 0, 2, 7]).subarray(0, 13), binary([192, 0, 2, 7]).subarray(13), ask]],
  ])('%s: the client is who the balancer says', async (_name, segments) => {
    expect(await send(...segments)).toMatchObject({ status: 200 })
    await expect.poll(() => world.records.at(-1)).toMatchObject({ client: '192.0.2.7', session: 'agent' })
  })

  it.each([
    ['another client', ['PROXY TCP4 192.0.2.8 10.0.0.1 40000 3128\r\n', ask]],
    ['a client that the balancer does not know', ['PROXY UNKNOWN\r\n', ask]],
    ['the balancer itself', [Buffer.concat([binary([]).subarray(0, 12), Buffer.from([0x20, 0, 0, 0])]), ask]],
  ])('%s is nobody', async (_name, segments) => {
    expect(await send(...segments)).toMatchObject({ status: 407 })
    await expect.poll(() => world.records.at(-1)?.session).toBe(null)
  })

  it.each([
    ['no header', [ask]],
    ['a header that is broken', ['PROXY TCP4 192.0.2.7\r\n', ask]],
    ['two headers', [line, line, ask]],
    ['half a header', ['PROXY TCP4 192.0.2.7 ']],
    ['silence', []],
  ])('%s proves nothing', async (name, segments) => {
    const heard = await send(...segments)
    if (name === 'two headers') expect(heard).toMatchObject({ status: 400 })
    else expect(heard).toBe('reset')
  })

  it('a header of somebody who is no balancer is no header', async () => {
    const port = Number(world.gateway.proxies[1]?.split(':').at(-1))
    const client = await RawClient.connect(port)
    await client.send(line + ask)
    expect(await client.response()).toMatchObject({ status: 400 })
    client.destroy()
  })
})
