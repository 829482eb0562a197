/** `sallyport session …`: the sessions of a running gateway, from the shell. */

import { type AddCommand, examples } from '../command.ts'
import { addControlOptions, connectControl, type ControlOptions } from '../control-options.ts'
import { paintFor, visible } from '../paint.ts'
import { sessionFacts, sessionTable, type ShownSession } from '../session-text.ts'
import type { World } from '../world.ts'
import { addSessionCreate } from './session-create.ts'
import { addSessionToken } from './session-token.ts'
import { addSessionUpdate } from './session-update.ts'

type Options = ControlOptions & { readonly json?: true }

export const addSessionCommand: AddCommand = (program, world, exitWith) => {
  const session = program.command('session').description('Create, list, change and end sessions of a running gateway.')
  addSessionCreate(session, world, exitWith)
  addControlOptions(session.command('list').description('All sessions this token may see.'))
    .option('--json', 'print them as JSON')
    .addHelpText('after', examples('sallyport session list'))
    .action(async (options: Options) => exitWith(await list(options, world)))
  addControlOptions(session.command('show').description('One session, with its live counters.'))
    .argument('<id>', 'as in "session list"')
    .option('--json', 'print it as JSON')
    .addHelpText('after', examples('sallyport session show s-abc'))
    .action(async (id: string, options: Options) => exitWith(await show(id, options, world)))
  addSessionUpdate(session, world, exitWith)
  addSessionToken(session, world, exitWith)
  addControlOptions(session.command('revoke').description('End sessions: their connections are cut when this returns.'))
    .argument('<id...>', 'as in "session list"')
    .addHelpText('after', examples('sallyport session revoke s-abc'))
    .action(async (ids: string[], options: Options) => exitWith(await revoke(ids, options, world)))
}

async function list(options: Options, world: World): Promise<number> {
  const client = await connectControl(options, world)
  const sessions: ShownSession[] = []
  let cursor: string | null = null
  do {
    const query: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`
    const page = parsePage(await client.call('GET', `/v1/sessions?limit=1000${query}`))
    sessions.push(...page.sessions)
    cursor = page.next
  } while (cursor !== null)
  if (options.json === true) world.out.write(`${JSON.stringify(sessions, null, 2)}\n`)
  else if (sessions.length === 0) world.err.write('there are no sessions\n')
  else world.out.write(sessionTable(sessions, paintFor(world.out, world.env)))
  return 0
}

async function show(id: string, options: Options, world: World): Promise<number> {
  const client = await connectControl(options, world)
  const session = parseSession(await client.call('GET', `/v1/sessions/${encodeURIComponent(id)}`))
  if (options.json === true) world.out.write(`${JSON.stringify(session, null, 2)}\n`)
  else world.out.write(sessionFacts(session, paintFor(world.out, world.env)))
  return 0
}

async function revoke(ids: readonly string[], options: Options, world: World): Promise<number> {
  const client = await connectControl(options, world)
  for (const id of ids) {
    const laggards = parseLaggards(await client.call('DELETE', `/v1/sessions/${encodeURIComponent(id)}`))
    const silent = laggards.length === 0 ? '' : `; not confirmed by ${laggards.map(visible).join(', ')}`
    world.out.write(`${id} revoked${silent}\n`)
  }
  return 0
}

function parsePage(value: unknown): { readonly sessions: readonly ShownSession[]; readonly next: string | null } {
  return value as ReturnType<typeof parsePage>
}

/** Replicas that have not said that it is over there. */
function parseLaggards(value: unknown): readonly string[] {
  return (value as { readonly laggards: readonly string[] } | null)?.laggards ?? []
}

function parseSession(value: unknown): ShownSession {
  return value as ShownSession
}
