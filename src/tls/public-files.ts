/** The files of the public directory: all that a sandbox may see of our state (decision 3). Pure. */

import { join } from 'node:path'

export type PublicFiles = {
  /** Our CA certificate alone. */
  readonly ca: string
  /** The system's roots and ours, as PEM. */
  readonly bundle: string
  /** The same for JVMs. */
  readonly trustStore: string
}

export function publicFilesIn(directory: string): PublicFiles {
  return {
    ca: join(directory, 'ca.pem'),
    bundle: join(directory, 'bundle.pem'),
    trustStore: join(directory, 'truststore.jks'),
  }
}
