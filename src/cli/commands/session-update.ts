/** `sallyport session update`: change a live session. */

import { Option } from 'commander'
import type { SessionView } from '../../control/schemas.ts'
import { type AddCommand, examples } from '../command.ts'
import { addControlOptions, connectControl, type ControlOptions } from '../control-options.ts'
import { paintFor } from '../paint.ts'
import { sessionFacts } from '../session-text.ts'
import { parseFilling, parseTtl, policyWish } from '../session-wish.ts'
import { misuse, type World } from '../world.ts'

type Options = ControlOptions & {
  readonly policy?: string
  readonly ttl?: number
  readonly mode?: 'audit' | 'enforce'
  readonly credential: Readonly<Record<string, string>>
  readonly json?: true
}

export const addSessionUpdate: AddCommand = (session, world, exitWith) => {
  addControlOptions(
    session
      .command('update')
      .description('Change a live session: new requests are judged by the change at once, and what it forbids is cut.'),
  )
    .argument('<id>', 'as in "session list"')
    .option('--policy <policy>', 'a policy by its name, or a file whose content is the policy')
    .option('--ttl <duration>', 'how long it lives from now on, as 30m or 8h', parseTtl)
    .addOption(new Option('--mode <mode>', 'how it is judged').choices(['enforce', 'audit']))
    .option(
      '--credential <name>',
      'slot=credential: what fills a credential name of the policy; several times',
      parseFilling,
      {},
    )
    .option('--json', 'print the session as JSON')
    .addHelpText('after', examples('sallyport session update s-abc --policy github-read --ttl 2h'))
    .action(async (id: string, options: Options) => exitWith(await update(id, options, world)))
}

async function update(id: string, options: Options, world: World): Promise<number> {
  const { policy, ttl, mode, credential } = options
  const changes = {
    ...(policy === undefined ? {} : { policy: await policyWish(policy, world) }),
    ...(ttl === undefined ? {} : { ttlSeconds: ttl }),
    ...(mode === undefined ? {} : { mode }),
    ...(Object.keys(credential).length === 0 ? {} : { credentials: credential }),
  }
  if (Object.keys(changes).length === 0) throw misuse('nothing to change; give --policy, --ttl, --mode or --credential')
  const client = await connectControl(options, world)
  const changed = parseSession(await client.call('PATCH', `/v1/sessions/${encodeURIComponent(id)}`, changes))
  if (options.json === true) world.out.write(`${JSON.stringify(changed, null, 2)}\n`)
  else world.out.write(sessionFacts(changed, paintFor(world.out, world.env)))
  return 0
}

function parseSession(value: unknown): SessionView {
  return value as SessionView
}
