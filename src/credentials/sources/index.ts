/** Every secret source. A new one is a file beside this and a line here. */

import { type AnySecretSourceKind, sealSource } from '../secret-source.ts'
import { commandSource } from './command.ts'
import { envSource } from './env.ts'
import { fileSource } from './file.ts'
import { sessionSource } from './session.ts'
import { vaultSource } from './vault.ts'

export const secretSources: readonly AnySecretSourceKind[] = [
  sealSource(commandSource),
  sealSource(envSource),
  sealSource(fileSource),
  sealSource(sessionSource),
  sealSource(vaultSource),
]
