/** `sallyport logs`: decisions as lines for people, from a running gateway or from a file. */

import { type AddCommand, examples } from '../command.ts'
import { addControlOptions, connectControl, type ControlOptions } from '../control-options.ts'
import { decisionPrinter } from '../decision-line.ts'
import { followDecisions } from '../follow-decisions.ts'
import { readAuditFile } from '../audit-reader.ts'
import { parseCount, parseDecisions, queryOf, type Wanted } from '../decision-query.ts'
import { misuse, type World } from '../world.ts'

type Options = ControlOptions & {
  readonly follow?: true
  readonly session?: string
  readonly host?: string
  readonly denied?: true
  readonly limit: number
  readonly file?: string
  readonly json?: true
}

export const addLogsCommand: AddCommand = (program, world, exitWith) => {
  addControlOptions(program.command('logs').description('Decisions: the last ones, and with -f those to come.'))
    .option('-f, --follow', 'go on with new ones, through restarts of the gateway')
    .option('--session <id>', 'of this session only')
    .option('--host <host>', 'about exactly this host only')
    .option('--denied', 'denials only')
    .option('-n, --limit <count>', 'how many of the last', parseCount, 100)
    .option('--file <file>', 'read an audit log instead of asking a gateway')
    .option('--json', 'one JSON object a line')
    .addHelpText('after', examples('sallyport logs -f --denied', 'sallyport logs --file audit.jsonl --json'))
    .action(async (options: Options) => exitWith(await logs(options, world)))
}

async function logs(options: Options, world: World): Promise<number> {
  const outcome = options.denied === true ? 'deny' : undefined
  const wanted: Wanted = { session: options.session, host: options.host?.toLowerCase(), outcome }
  const print = decisionPrinter(world, { json: options.json === true })
  if (options.file !== undefined) {
    if (options.follow === true) throw misuse('--file is read once; follow a gateway with -f, or the file with tail -f')
    await readAuditFile(options.file, wanted, options.limit, world, print)
    return 0
  }
  const client = await connectControl(options, world)
  if (options.follow === true)
    return followDecisions({ client, wanted, limit: options.limit, print, say: world.err.write })
  const found = parseDecisions(
    await client.call('GET', `/v1/decisions?${queryOf(wanted, { limit: String(options.limit) })}`),
  )
  for (const record of found.toReversed()) print(record)
  return 0
}
