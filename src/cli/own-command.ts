/** How this program was called, so that the lines we print can be pasted. Pure. */

import path from 'node:path'
import { shellQuote } from './environment-text.ts'
import type { Environment } from './world.ts'

/** `sallyport` where the shell finds it, else the very command that runs now. */
export function ownCommand(execPath: string, script: string, env: Environment): string {
  // npx runs a copy that is on nobody else's PATH.
  if (script.includes(`${path.sep}_npx${path.sep}`)) return 'npx sallyport'
  const folder = path.dirname(script)
  const isLocal = folder.endsWith(path.join('node_modules', '.bin'))
  const isFound = (env['PATH'] ?? '').split(path.delimiter).includes(folder)
  if (path.basename(script) === 'sallyport' && isFound && !isLocal) return 'sallyport'
  return path.basename(script) === 'sallyport' ? shellQuote(script) : `${shellQuote(execPath)} ${shellQuote(script)}`
}
