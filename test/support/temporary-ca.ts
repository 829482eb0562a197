/** A signing CA in a directory of its own, gone when the test file is. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { loadSigningCa, type SigningCa, type SigningCaOptions } from '../../src/tls/signing-ca.ts'

const made: string[] = []
afterAll(async () => {
  for (const directory of made.splice(0)) await rm(directory, { recursive: true, force: true })
})

export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-'))
  made.push(directory)
  return directory
}

/** Options for a CA below `directory`; change what the test is about. */
export function caOptions(directory: string, change: Partial<SigningCaOptions> = {}): SigningCaOptions {
  return {
    stateDirectory: join(directory, 'state'),
    publicDirectory: join(directory, 'public'),
    own: null,
    now: () => new Date(),
    systemRoots: () => [],
    ...change,
  }
}

export async function temporaryCa(): Promise<{ ca: SigningCa; caFile: string; directory: string }> {
  const directory = await temporaryDirectory()
  const ca = await loadSigningCa(caOptions(directory))
  return { ca, caFile: join(directory, 'public', 'ca.pem'), directory }
}
