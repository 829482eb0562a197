/** Gateways that share one Redis, each with a state directory of its own; and what they must have in common. */

import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { RedisConfig } from '../../src/config/store-schema.ts'
import { loadSigningCa } from '../../src/tls/signing-ca.ts'
import { startRealGateway, type RealGateway, type RealGatewayOptions } from './real-clients.ts'
import { caOptions, temporaryDirectory } from './temporary-ca.ts'

/** Starts one more replica; `change` is of its way to the store. */
export type StartReplica = (url: string, change?: Partial<RedisConfig>) => Promise<RealGateway>

export async function replicasOf(options: RealGatewayOptions): Promise<StartReplica> {
  const directory = await temporaryDirectory()
  await loadSigningCa(caOptions(directory))
  // Key and certificate are one file there.
  const pair = join(directory, 'state', 'ca-key.pem')
  const stateKey = join(directory, 'key')
  await writeFile(stateKey, randomBytes(32).toString('hex'), { mode: 0o600 })
  const prefix = `test-${randomBytes(6).toString('hex')}`
  let count = 0
  return async (url, change = {}) => {
    const place = join(directory, `url-${++count}`)
    await writeFile(place, url)
    const store = { url: { file: place }, ca: null, prefix, graceMs: 4000, ...change }
    return startRealGateway({
      ...options,
      shared: { ca: { certificate: pair, key: pair }, stateKey: { file: stateKey }, store },
    })
  }
}
