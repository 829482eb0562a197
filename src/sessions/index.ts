/** Every session store, by its name in the configuration. A new one is a file beside this and a line here. */

import { createFileStore } from './file-store.ts'
import { createMemoryStore } from './memory-store.ts'
import type { SessionStore, StoreOptions } from './session-store.ts'

export const sessionStores = {
  file: createFileStore,
  memory: createMemoryStore,
  // Its client is a tenth of what a start costs: read where somebody keeps sessions there.
  redis: async (options) => (await import('./redis-store.ts')).createRedisStore(options),
} satisfies Record<string, (options: StoreOptions) => Promise<SessionStore> | SessionStore>
