/**
 * The commands, and what becomes of their errors. `commander` is used in this folder only.
 *
 * Promises: wrong usage exits 2; an error a person can mend is one line with the fix; a stack shows only for a bug.
 */

import { Command, CommanderError } from 'commander'
import type { AddCommand } from './command.ts'
import { addCaCommand } from './commands/ca.ts'
import { addConfigCommand } from './commands/config.ts'
import { addDemoCommand } from './commands/demo.ts'
import { addDoctorCommand } from './commands/doctor.ts'
import { addEnvCommand } from './commands/env.ts'
import { addHealthCommand } from './commands/health.ts'
import { addLogsCommand } from './commands/logs.ts'
import { addPolicyCommand } from './commands/policy.ts'
import { addRunCommand } from './commands/run.ts'
import { addServeCommand } from './commands/serve.ts'
import { addSessionCommand } from './commands/session.ts'
import { addVerifyCommand } from './commands/verify.ts'
import { Complaint, type World } from './world.ts'
import { packageVersion } from './package-version.ts'

/** In the order of `--help`. */
const commands: readonly AddCommand[] = [
  addServeCommand,
  addRunCommand,
  addSessionCommand,
  addPolicyCommand,
  addEnvCommand,
  addCaCommand,
  addLogsCommand,
  addVerifyCommand,
  addDoctorCommand,
  addHealthCommand,
  addConfigCommand,
  addDemoCommand,
]

/** Resolves with the exit code when the command is over. */
export async function runCli(argv: readonly string[], world: World): Promise<number> {
  let exitCode = 0
  const program = createProgram(world)
  for (const add of commands) add(program, world, (code) => (exitCode = code))
  try {
    await program.parseAsync(argv, { from: 'user' })
    return exitCode
  } catch (error) {
    return report(error, world)
  }
}

function createProgram(world: World): Command {
  return new Command('sallyport')
    .description('The door through which AI-agent sandboxes reach the internet.')
    .version(packageVersion(), '-V, --version')
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: world.out.write,
      writeErr: world.err.write,
      outputError: (text, write) => write(`sallyport: ${oneLine(text.replace(/^error: /, ''))}; see --help\n`),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .addHelpText(
      'after',
      '\nFirst steps:\n  sallyport demo\n  sallyport run --policy github-read -- git clone URL\n  sallyport serve',
    )
}

function report(error: unknown, world: World): number {
  // It has said what it has to say already; help and version are no errors.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  if (error instanceof Complaint) {
    world.err.write(`sallyport: ${error.message}\n`)
    return error.exitCode
  }
  const told = error instanceof Error ? (error.stack ?? error.message) : String(error)
  world.err.write(`sallyport: this is a bug, please report it\n${told}\n`)
  return 70 // EX_SOFTWARE of sysexits
}

function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, ' ')
}
