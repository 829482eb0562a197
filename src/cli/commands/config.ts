/** `sallyport config …`: what the configuration is and who said it, without a gateway. */

import { configJsonSchema, type LoadedConfig, showConfig } from '../../config/load-config.ts'
import { type AddCommand, examples } from '../command.ts'
import { choiceOf, type ConfigOptions, loadForGateway, loadForLooking } from '../configuration.ts'
import { columns, paintFor, visible } from '../paint.ts'
import type { World } from '../world.ts'

type Options = ConfigOptions & { readonly json?: true }

export const addConfigCommand: AddCommand = (program, world, exitWith) => {
  const config = program.command('config').description('Show and check the configuration.')
  config
    .command('show')
    .description('Every value and where it was said: default, file, variable.')
    .option('--config <file>', 'default: ./sallyport.yaml if there is one')
    .option('--json', 'print it as JSON')
    .addHelpText('after', examples('sallyport config show --config sallyport.yaml'))
    .action(async (options: Options) => exitWith(await show(options, world)))
  config
    .command('check')
    .description('Everything that would keep a gateway from starting with it. Exit 1 if there is anything.')
    .argument('[file]', 'default: ./sallyport.yaml if there is one')
    .addHelpText('after', examples('sallyport config check sallyport.yaml'))
    .action(async (file: string | undefined) => exitWith(await check(file, world)))
  config
    .command('schema')
    .description('The JSON Schema of the file, for editors.')
    .addHelpText('after', examples('sallyport config schema > sallyport.schema.json'))
    .action(() => world.out.write(`${JSON.stringify(configJsonSchema(), null, 2)}\n`))
}

async function show(options: Options, world: World): Promise<number> {
  const loaded = await loadForLooking(world, options)
  const settings = showConfig(loaded)
  if (options.json === true) {
    world.out.write(`${JSON.stringify({ file: loaded.file, settings }, null, 2)}\n`)
    return 0
  }
  const paint = paintFor(world.out, world.env)
  const rows = settings.map(({ path, value, origin }) => [path, valueText(value), origin].map(visible))
  const isDefault = (row: number): boolean => settings[row]?.origin === 'default'
  world.out.write(columns(rows, (cell, row) => (isDefault(row) ? paint('dim', cell) : cell)))
  world.err.write(`${fileText(loaded)}\n`)
  warn(loaded, world)
  return 0
}

async function check(file: string | undefined, world: World): Promise<number> {
  const loaded = await loadForGateway(world, choiceOf(file === undefined ? {} : { config: file }), {})
  world.out.write(`${paintFor(world.out, world.env)('green', `${fileText(loaded)}: no problems`)}\n`)
  warn(loaded, world)
  return 0
}

function warn({ warnings }: LoadedConfig, world: World): void {
  for (const warning of warnings) world.err.write(`warning: ${warning}\n`)
}

function fileText({ file }: LoadedConfig): string {
  return file ?? 'no configuration file'
}

function valueText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
