/** The version of this package; the same place seen from `src` and from `dist`. */

import { readFileSync } from 'node:fs'

export function packageVersion(): string {
  const { version } = parsePackage(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  return version
}

function parsePackage(text: string): { readonly version: string } {
  return JSON.parse(text) as { readonly version: string }
}
