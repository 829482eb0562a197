/**
 * `sallyport run -- CMD`: one command in one session, behind a gateway of its own.
 *
 * Promises: the exit code is the command's; standard output is the command's alone.
 */

import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Option } from 'commander'
import type { Config } from '../../config/config-schema.ts'
import { childEnvironment } from '../child-environment.ts'
import { type ChildEnd, runChild } from '../child-process.ts'
import { type AddCommand, collect, examples } from '../command.ts'
import { type ConfigOptions, loadForGateway } from '../configuration.ts'
import { runIsolated } from '../isolated-child.ts'
import { loadIsolationFacts } from '../isolation-facts.ts'
import { findLauncher, type Launcher } from '../isolation-launcher.ts'
import { planIsolation } from '../isolation-plan.ts'
import { paintFor, visible } from '../paint.ts'
import { type RunGateway, startRunGateway } from '../run-gateway.ts'
import { runReport, runSummary } from '../run-summary.ts'
import { type RunResult, RunTally } from '../run-tally.ts'
import { secretVariablesOf } from '../secret-variables.ts'
import { parseFilling } from '../session-wish.ts'
import { Complaint, misuse, type World } from '../world.ts'

type Options = ConfigOptions & {
  readonly policy: readonly string[]
  readonly credential: Readonly<Record<string, string>>
  readonly mode?: 'audit' | 'enforce'
  readonly report?: string
  readonly failOnDeny?: true
  readonly jvm?: true
  readonly isolate?: true
  readonly quiet?: true
}

const notIsolated =
  'the command is not isolated: it can read what you can read, and the gateway is advice that its environment gives; --isolate makes it the only way out'
const isolated = 'isolated: the gateway is the only way out'

export const addRunCommand: AddCommand = (program, world, exitWith) => {
  program
    .command('run')
    .description("One command in one session, behind a gateway of its own. The exit code is the command's.")
    .argument('<command...>', 'after --')
    .option(
      '--policy <policy>',
      'by its name, or a file (read once, at the start); several are joined; none allows nothing',
      collect,
      [],
    )
    .option(
      '--credential <name>',
      'slot=credential: what fills a credential name of the policy; several times',
      parseFilling,
      {},
    )
    .addOption(
      new Option('--mode <mode>', 'audit: let through what would be denied, and say so').choices(['enforce', 'audit']),
    )
    .option('--report <file>', 'write what happened as JSON')
    .option('--fail-on-deny', 'exit 1 if the command succeeded but something was denied')
    .option('--jvm', 'set JAVA_TOOL_OPTIONS too: proxy and trust store; some builds break on its notice')
    .option('--isolate', 'namespaces of its own (Linux, no root): no network but the gateway, no agent, no secrets')
    .option('--quiet', 'say nothing unless something was denied')
    .option(
      '--config <file>',
      'default: your own, ~/.config/sallyport/sallyport.yaml; never one of the working directory',
    )
    .passThroughOptions()
    .addHelpText(
      'after',
      examples(
        'sallyport run --policy github-read -- git clone https://github.com/git/git',
        'sallyport run --isolate --policy coding-agent -- claude',
        'sallyport run --mode audit --report report.json -- npm install',
      ).concat(`\nWithout --isolate ${notIsolated}.\n`),
    )
    .action(async (command: string[], options: Options) => exitWith(await run(command, options, world)))
}

async function run(command: readonly string[], options: Options, world: World): Promise<number> {
  const [file, ...args] = command
  if (file === undefined || file === '') throw misuse('a command is needed; sallyport run -- COMMAND')
  const choice =
    options.config === undefined ? ({ kind: 'user' } as const) : ({ kind: 'file', file: options.config } as const)
  const loaded = await loadForGateway(world, choice, {})
  // Before anything is made: where it cannot be, nothing is run.
  const launcher = options.isolate === true ? await findLauncher(process.platform, process.getuid?.() === 0) : null
  const tally = new RunTally()
  const startedAt = new Date(world.now()).toISOString()
  const { policy: policies, credential: credentials } = options
  const isIsolated = launcher !== null
  const wish = { policies, credentials, mode: options.mode ?? null, jvm: options.jvm === true, isIsolated }
  const gateway = await startRunGateway(loaded, wish, world, (record) => tally.note(record))
  if (options.quiet !== true) world.err.write(greeting(gateway, isIsolated, world))
  const end = await runBehind(gateway, [file, ...args], loaded.config, launcher, world)
  if (end.problem !== null) throw new Complaint(`${visible(end.problem)}; correct the command after --`, end.exitCode)

  const result = tally.result()
  const isQuiet = options.quiet === true && result.denied.length === 0
  if (!isQuiet) world.err.write(runSummary(result, paintFor(world.err, world.env)))
  const { session } = gateway
  const facts = { command, policies, mode: session.current.mode, session: session.id, startedAt }
  const endedAt = new Date(world.now()).toISOString()
  if (options.report !== undefined)
    await writeReport(options.report, runReport({ ...facts, endedAt, exitCode: end.exitCode }, result), world)
  return exitCodeOf(end.exitCode, result, options)
}

async function runBehind(
  gateway: RunGateway,
  command: readonly [string, ...string[]],
  config: Config,
  launcher: Launcher | null,
  world: World,
): Promise<ChildEnd> {
  const { environment: sandbox } = gateway
  const secretVariables = secretVariablesOf(config)
  const isIsolated = launcher !== null
  const environment = childEnvironment({ inherited: world.env, secretVariables, sandbox, isIsolated })
  const child = { command, environment, cwd: world.cwd, hasTerminal: world.stdin.isTTY === true }
  try {
    if (launcher === null) return await runChild(child)
    const facts = loadIsolationFacts(config, world, gateway.places)
    const mounts = planIsolation(facts)
    if (typeof mounts === 'string') throw new Complaint(mounts)
    const { cwd, runtimeDirectory } = facts
    const more = runtimeDirectory === null ? {} : { XDG_RUNTIME_DIR: runtimeDirectory }
    return await runIsolated(launcher(mounts, cwd), { ...child, cwd, environment: { ...environment, ...more } })
  } finally {
    await gateway.stop()
  }
}

function exitCodeOf(exitCode: number, { denied }: RunResult, { failOnDeny }: Options): number {
  return exitCode === 0 && failOnDeny === true && denied.length > 0 ? 1 : exitCode
}

function greeting({ session }: RunGateway, isIsolated: boolean, world: World): string {
  const paint = paintFor(world.err, world.env)
  const { policy, mode } = session.current
  const rules = policy.rules.length === 0 ? 'nothing is allowed' : `${policy.rules.length} rules`
  return `${paint('dim', `sallyport: policy ${visible(policy.name)} (${rules}, ${mode}); ${isIsolated ? isolated : notIsolated}`)}\n`
}

async function writeReport(file: string, report: object, world: World): Promise<void> {
  try {
    await writeFile(path.resolve(world.cwd, file), `${JSON.stringify(report, null, 2)}\n`)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'error'
    throw new Complaint(`the report cannot be written to ${file}: ${code}; name another file with --report`)
  }
}
