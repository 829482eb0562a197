/**
 * `sallyport health`: is the gateway of this configuration enforcing? For probes that can run a command but have no shell.
 *
 * Promises: exit 0 only while `/readyz` says so; no token is needed, read or sent.
 */

import { InvalidArgumentError } from 'commander'
import { setTimeout as delay } from 'node:timers/promises'
import { type AddCommand, examples } from '../command.ts'
import { configFor, type ConfigOptions } from '../configuration.ts'
import { createControlClient, parseControlTarget } from '../control-client.ts'
import { Complaint, misuse, type World } from '../world.ts'

type Options = ConfigOptions & { readonly control?: string; readonly wait: number }

export const addHealthCommand: AddCommand = (program, world, exitWith) => {
  program
    .command('health')
    .description('Exit 0 while the gateway enforces, 1 while it does not; for probes of containers.')
    .option('--control <address>', 'the control API: host:port, URL or unix:/path; default: as configured')
    .option('--config <file>', 'the configuration of the gateway')
    .option('--wait <seconds>', 'give it so long to begin', parseSeconds, 0)
    .addHelpText('after', examples('sallyport health', 'sallyport health --wait 30'))
    .action(async (options: Options) => exitWith(await health(options, world)))
}

const pauseMs = 100

async function health(options: Options, world: World): Promise<number> {
  const written = options.control ?? (await configFor(world, options)).control.address
  const target = parseControlTarget(written)
  if (target === null) throw misuse(`"${written}" is no control address; write 127.0.0.1:3180, a URL or unix:/path`)
  const client = createControlClient(target, null)
  const until = world.now() + options.wait * 1000
  for (;;) {
    try {
      await client.call('GET', '/readyz')
      return 0
    } catch (error) {
      if (!(error instanceof Complaint)) throw error
      if (world.now() + pauseMs > until) throw error
      await delay(pauseMs)
    }
  }
}

function parseSeconds(written: string): number {
  if (!/^\d{1,3}$/.test(written)) throw new InvalidArgumentError('write whole seconds')
  return Number(written)
}
