/**
 * `sallyport config show`: every setting, its value and who said it. Pure.
 *
 * Promises: a secret is never in it, because none can be in the configuration; of a credential only what `config` knows,
 * its name, kind, hosts and where the secret comes from.
 */

import { settingsOf } from './config-layers.ts'
import type { LoadedConfig } from './load-config.ts'
import { settings } from './overrides.ts'

export type ShownSetting = {
  readonly path: string
  readonly value: unknown
  readonly origin: string
}

export function showConfig({
  effective,
  origins,
  file,
}: Pick<LoadedConfig, 'effective' | 'file' | 'origins'>): ShownSetting[] {
  return settingsOf(effective)
    .map(([path, value]) => ({ path, value, origin: originText(path, origins.get(path) ?? 'default', file) }))
    .sort((a, b) => (a.path < b.path ? -1 : 1))
}

function originText(path: string, origin: string, file: string | null): string {
  switch (origin) {
    case 'env':
      return settings.get(path)?.variable ?? origin
    case 'file':
      return file ?? origin
    default:
      return origin
  }
}
