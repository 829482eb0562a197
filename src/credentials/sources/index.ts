/** Every secret source. A new one is a file beside this and a line here. */

import type { SecretSourceKind } from '../secret-source.ts'
import { envSource } from './env.ts'
import { fileSource } from './file.ts'

export const secretSources: readonly SecretSourceKind[] = [envSource, fileSource]
