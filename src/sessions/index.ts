/** Every session store, by its name in the configuration. A new one is a file beside this and a line here. */

import { createFileStore } from './file-store.ts'
import { createMemoryStore } from './memory-store.ts'
import { createRedisStore } from './redis-store.ts'
import type { SessionStore, StoreOptions } from './session-store.ts'

export const sessionStores = {
  file: createFileStore,
  memory: createMemoryStore,
  redis: createRedisStore,
} satisfies Record<string, (options: StoreOptions) => SessionStore>
