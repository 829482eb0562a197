/** `sallyport policy presets`: the policies that come with the gateway, and what each is for. */

import { loadPresets } from '../../config/load-policies.ts'
import { type AddCommand, examples } from '../command.ts'
import { columns, paintFor } from '../paint.ts'
import { issuesText } from '../policy-files.ts'
import { Complaint, type World } from '../world.ts'

type Options = { readonly json?: true }

export const addPresets: AddCommand = (policy, world, exitWith) => {
  policy
    .command('presets')
    .description('The policies that come with the gateway.')
    .option('--json', 'print them as JSON, with their files')
    .addHelpText('after', examples('sallyport policy presets'))
    .action(async (options: Options) => exitWith(await presets(options, world)))
}

async function presets(options: Options, world: World): Promise<number> {
  const loaded = await loadPresets()
  if (loaded.kind === 'issues') throw new Complaint(issuesText(loaded.issues))
  const shown = loaded.sources.map(({ name, description, extends: joined, place }) => ({
    name,
    description,
    extends: joined,
    file: place.file,
  }))
  if (options.json === true) {
    world.out.write(`${JSON.stringify(shown, null, 2)}\n`)
    return 0
  }
  const paint = paintFor(world.out, world.env)
  const rows = shown.map((one) => [one.name, one.description ?? ''])
  world.out.write(columns(rows, (cell, _row, column) => (column === 0 ? paint('bold', cell) : cell)))
  return 0
}
