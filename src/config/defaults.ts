/** What holds where nobody says anything, in the words of the file; `config show` prints it beside what was said. */

import { processLimitKeys, processLimits } from './process-limits.ts'

export function configDefaults(stateDirectory: string): Readonly<Record<string, unknown>> {
  return {
    version: 1,
    listeners: [{ address: '127.0.0.1:3128' }],
    control: { address: '127.0.0.1:3180', hosts: [], tokens: [] },
    stateDirectory,
    // Null: public/ in the state directory.
    publicDirectory: null,
    ca: null,
    // Null: one of its own, in the state directory.
    stateKey: null,
    // Null: the shipped policies only.
    policies: null,
    sessions: {
      store: 'file',
      defaultTtl: '1h',
      secretKey: null,
      // Sessions get no listeners over the API.
      doors: {},
      static: [],
    },
    credentials: [],
    upstream: { proxy: null, roots: 'bundled', extraCa: null, dns: { servers: null, hosts: {} } },
    // The file: audit.jsonl in the state directory, unless the log goes to standard output.
    audit: { stdout: false, fsync: 'never', rotateBytes: '64MiB', rotatedFiles: 8 },
    log: { level: 'info', format: 'auto' },
    limits: Object.fromEntries(processLimitKeys.map((key) => [key, processLimits[key].default])),
  }
}
