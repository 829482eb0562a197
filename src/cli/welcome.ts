/** What `serve` says when it stands: where everything is, and two lines that open a session and use it. */

import path from 'node:path'
import type { LoadedConfig } from '../config/load-config.ts'
import type { Gateway } from '../gateway.ts'
import { shellQuote } from './environment-text.ts'
import { ownCommand } from './own-command.ts'
import { columns, paintFor } from './paint.ts'
import type { World } from './world.ts'

/** Allowed by `coding-agent`, there to stay, and small. */
const exampleUrl = 'https://pypi.org/simple/'

export function welcome(gateway: Gateway, loaded: LoadedConfig, world: World): string {
  const paint = paintFor(world.out, world.env)
  const { adminTokenPath, policies } = gateway
  const rows = [
    ...gateway.proxies.map((address) => ['proxy', address]),
    ['control', controlText(gateway)],
    ['admin token', adminTokenPath ?? 'as configured under control.tokens'],
    ['CA', gateway.caPath],
    ['roots + CA', gateway.bundlePath],
    ['state', loaded.config.stateDirectory],
    [
      'policies',
      policies
        .list()
        .map(({ name }) => name)
        .join(', '),
    ],
    ['config', loaded.file ?? 'embedded defaults'],
  ]
  const facts = columns(
    rows.map(([name = '', value = '']) => [`  ${name}`, value]),
    (cell, _row, column) => (column === 0 ? paint('dim', cell) : cell),
  )
  return `${paint('bold', 'sallyport is serving')}\n${facts}\nOpen a session and use it, in another shell:\n${useLines(gateway, loaded, world)}\n`
}

function useLines(gateway: Gateway, loaded: LoadedConfig, world: World): string {
  const [, script = 'sallyport'] = process.argv
  const own = ownCommand(process.execPath, script, world.env)
  const where = isUsual(gateway, loaded) ? '' : ` --control ${shellQuote(controlText(gateway))}`
  const token =
    gateway.adminTokenPath === null || isUsualState(loaded)
      ? ''
      : ` --token-file ${shellQuote(path.resolve(gateway.adminTokenPath))}`
  const create = `${own} session create --policy coding-agent --format env${where}${token}`
  return `  eval "$(${create})"\n  curl -sSI ${exampleUrl}\n`
}

function controlText({ control }: Gateway): string {
  return control.startsWith('/') ? `unix:${control}` : control
}

/** Where `session create` looks when nobody says anything, from any folder. */
function isUsual({ control }: Gateway, { origins }: LoadedConfig): boolean {
  return origins.get('control.address') === 'default' && control === '127.0.0.1:3180'
}

function isUsualState({ origins }: LoadedConfig): boolean {
  return origins.get('stateDirectory') === 'default'
}
