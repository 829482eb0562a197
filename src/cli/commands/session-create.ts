/** `sallyport session create`: a new session, and what its sandbox needs. */

import { Option } from 'commander'
import type { CreatedSession, CreateSession } from '../../control/schemas.ts'
import { type AddCommand, collect, examples } from '../command.ts'
import { addControlOptions, connectControl, type ControlOptions } from '../control-options.ts'
import { environmentText } from '../environment-text.ts'
import { columns, paintFor } from '../paint.ts'
import { parseFilling, parsePair, parseTtl, policyWish } from '../session-wish.ts'
import { Complaint, type World } from '../world.ts'

type Options = ControlOptions & {
  readonly policy: string
  readonly ttl?: number
  readonly mode?: 'audit' | 'enforce'
  readonly label: Readonly<Record<string, string>>
  readonly credential: Readonly<Record<string, string>>
  readonly source: readonly string[]
  readonly format: 'env' | 'json' | 'text'
  readonly json?: true
}

export const addSessionCreate: AddCommand = (session, world, exitWith) => {
  addControlOptions(session.command('create').description('A new session. Its token is shown this once.'))
    .requiredOption('--policy <policy>', 'a policy by its name, or a file whose content is the policy')
    .option('--ttl <duration>', 'how long it lives, as 30m or 8h; default: as configured', parseTtl)
    .addOption(new Option('--mode <mode>', 'default: as the policy says').choices(['enforce', 'audit']))
    .option('--label <name=value>', 'for whoever reads the records; several times', parsePair, {})
    .option(
      '--credential <name>',
      'slot=credential: what fills a credential name of the policy; several times',
      parseFilling,
      {},
    )
    .option('--source <block>', 'where the client must come from, as 10.1.2.0/24; several times', collect, [])
    .addOption(new Option('--format <format>', 'env: lines for eval').choices(['text', 'env', 'json']).default('text'))
    .option('--json', 'the same as --format json')
    .addHelpText(
      'after',
      examples(
        'eval "$(sallyport session create --policy coding-agent --format env)"',
        'sallyport session create --policy ./dev.yaml --ttl 8h --label team=a --json',
      ),
    )
    .action(async (options: Options) => exitWith(await create(options, world)))
}

async function create(options: Options, world: World): Promise<number> {
  const client = await connectControl(options, world)
  const wish = await wishOf(options, world)
  const made = parseCreated(await client.call('POST', '/v1/sessions', wish))
  const format = options.json === true ? 'json' : options.format
  if (format === 'json') world.out.write(`${JSON.stringify(made, null, 2)}\n`)
  else if (format === 'env') world.out.write(evalLines(made.env))
  else {
    const paint = paintFor(world.out, world.env)
    const rows = [
      ['session', made.id],
      ['token', `${made.token} (shown this once)`],
      ['proxy', made.proxyUrl],
      ['expires', made.expiresAt ?? 'never'],
    ]
    world.out.write(columns(rows, (cell, _row, column) => (column === 0 ? paint('dim', cell) : cell)))
  }
  return 0
}

async function wishOf(options: Options, world: World): Promise<CreateSession> {
  const { ttl, mode, label, credential, source } = options
  return {
    policy: parsePolicyChoice(await policyWish(options.policy, world)),
    ...(ttl === undefined ? {} : { ttlSeconds: ttl }),
    ...(mode === undefined ? {} : { mode }),
    ...(Object.keys(label).length === 0 ? {} : { labels: label }),
    ...(Object.keys(credential).length === 0 ? {} : { credentials: credential }),
    ...(source.length === 0 ? {} : { sources: [...source] }),
  }
}

/** For `eval`: what cannot be said there safely is an error, and nothing is printed. */
export function evalLines(env: Readonly<Record<string, string>>): string {
  const spelled = environmentText(env, 'shell')
  if (typeof spelled === 'string') throw new Complaint(`${spelled}; use --format json`)
  return spelled.text
}

function parseCreated(value: unknown): CreatedSession {
  return value as CreatedSession
}

/** The gateway judges it; here it is only passed on. */
function parsePolicyChoice(value: unknown): CreateSession['policy'] {
  return value as CreateSession['policy']
}
