/**
 * `sallyport ca …`: what a sandbox must trust.
 *
 * Promises: only the public directory is read; the key is not there.
 */

import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Option } from 'commander'
import { type PublicFiles, publicFilesIn } from '../../tls/public-files.ts'
import { type AddCommand, examples } from '../command.ts'
import { configFor, type ConfigOptions } from '../configuration.ts'
import { Complaint, type World } from '../world.ts'

type Options = ConfigOptions & { readonly json?: true; readonly bundle?: true; readonly trustStore?: true }

export const addCaCommand: AddCommand = (program, world, exitWith) => {
  const ca = program
    .command('ca')
    .description("The gateway's CA certificate, for what a sandbox must trust. Never the key.")
  ca.command('show')
    .description('The certificate, as PEM; on standard error whose it is and how long it holds.')
    .option('--config <file>', 'the configuration of the gateway')
    .option('--json', 'print subject, validity, fingerprint and PEM as JSON')
    .addHelpText('after', examples('sallyport ca show > ca.pem'))
    .action(async (options: Options) => exitWith(await show(options, world)))
  ca.command('path')
    .description('Where the certificate stands: for variables that add a root.')
    .option('--bundle', 'where the bundle stands: for variables that replace the store')
    .addOption(new Option('--trust-store', 'where the trust store of JVMs stands').conflicts('bundle'))
    .option('--config <file>', 'the configuration of the gateway')
    .addHelpText('after', examples('NODE_EXTRA_CA_CERTS="$(sallyport ca path)" node agent.js'))
    .action(async (options: Options) => exitWith(await printPath(options, world)))
  ca.command('bundle')
    .description("The system's roots and ours, as PEM.")
    .option('--config <file>', 'the configuration of the gateway')
    .addHelpText('after', examples('sallyport ca bundle > bundle.pem'))
    .action(async (options: Options) => {
      world.out.write((await readPublic('bundle', options, world)).text)
      exitWith(0)
    })
}

async function show(options: Options, world: World): Promise<number> {
  const { text: pem } = await readPublic('ca', options, world)
  const { subject, validFrom, validTo, fingerprint256 } = new X509Certificate(pem)
  if (options.json === true) {
    world.out.write(`${JSON.stringify({ subject, validFrom, validTo, fingerprint256, pem }, null, 2)}\n`)
    return 0
  }
  const told = subject.replaceAll('\n', ', ')
  world.err.write(`${told}\nvalid until ${validTo}\nSHA-256 ${fingerprint256}\n`)
  world.out.write(pem)
  return 0
}

async function printPath(options: Options, world: World): Promise<number> {
  const which = options.trustStore === true ? 'trustStore' : options.bundle === true ? 'bundle' : 'ca'
  world.out.write(`${(await readPublic(which, options, world)).file}\n`)
  return 0
}

type Read = { readonly file: string; readonly text: string }

async function readPublic(which: keyof PublicFiles, options: Options, world: World): Promise<Read> {
  const file = publicFilesIn((await configFor(world, options)).publicDirectory)[which]
  try {
    return { file, text: await readFile(file, 'utf8') }
  } catch {
    throw new Complaint(
      `there is no CA at ${file} yet; start the gateway once, or name its configuration with --config`,
    )
  }
}
