/** `sallyport session token`: a new token in place of the old one. */

import { Option } from 'commander'
import { type AddCommand, examples } from '../command.ts'
import { addControlOptions, connectControl, type ControlOptions } from '../control-options.ts'
import type { World } from '../world.ts'
import { evalLines } from './session-create.ts'

type Options = ControlOptions & { readonly format: 'env' | 'json' | 'text'; readonly json?: true }
type NewToken = { readonly token: string; readonly proxyUrl: string; readonly env: Readonly<Record<string, string>> }

export const addSessionToken: AddCommand = (session, world, exitWith) => {
  addControlOptions(
    session.command('token').description('A new token, shown this once; the old one proves nothing any more.'),
  )
    .argument('<id>', 'as in "session list"')
    .addOption(new Option('--format <format>', 'env: lines for eval').choices(['text', 'env', 'json']).default('text'))
    .option('--json', 'the same as --format json')
    .addHelpText('after', examples('sallyport session token s-abc'))
    .action(async (id: string, options: Options) => exitWith(await token(id, options, world)))
}

async function token(id: string, options: Options, world: World): Promise<number> {
  const client = await connectControl(options, world)
  const made = parseNewToken(await client.call('POST', `/v1/sessions/${encodeURIComponent(id)}/token`))
  const format = options.json === true ? 'json' : options.format
  if (format === 'json') world.out.write(`${JSON.stringify(made, null, 2)}\n`)
  else if (format === 'env') world.out.write(evalLines(made.env))
  else world.out.write(`${made.token}\n`)
  return 0
}

function parseNewToken(value: unknown): NewToken {
  return value as NewToken
}
