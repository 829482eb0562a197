/** stub */
import type { World } from './world.ts'
import { Complaint } from './world.ts'
import type { Credential } from '../credentials/credential-schema.ts'
export type Config = { policies: string | null; credentials: readonly Credential[] }
export async function configFor(_world: World, _o: { config: string }): Promise<Config> {
  throw new Complaint('later')
}
