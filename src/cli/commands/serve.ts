/**
 * `sallyport serve`: the gateway in the foreground.
 *
 * Promises: the first signal stops it in order, the second at once; an error nobody caught ends it, because a proxy in an
 * unknown state must not keep deciding.
 */

import { Option } from 'commander'
import type { Gateway } from '../../gateway.ts'
import type { Log } from '../../telemetry/log.ts'
import { type AddCommand, examples } from '../command.ts'
import { choiceOf, type ConfigOptions, type Flags, loadForGateway } from '../configuration.ts'
import { createSystemdNotice, type SystemdNotice } from '../systemd-notice.ts'
import { welcome } from '../welcome.ts'
import { logFor, start } from '../start.ts'
import type { World } from '../world.ts'

type Options = ConfigOptions & {
  readonly listen?: string
  readonly control?: string
  readonly policies?: string
  readonly stateDirectory?: string
  readonly logLevel?: string
  readonly logFormat?: string
  readonly json?: true
}

export const addServeCommand: AddCommand = (program, world, exitWith) => {
  program
    .command('serve')
    .description('The gateway, in the foreground: proxy listeners, control API and metrics.')
    .option('--config <file>', 'default: ./sallyport.yaml if there is one, else embedded defaults')
    .option('--listen <address>', 'where the proxy listens, as 127.0.0.1:3128 or unix:/path')
    .option('--control <address>', 'where the control API listens, as 127.0.0.1:3180 or unix:/path')
    .option('--policies <folder>', 'policy files beside the shipped ones, reloaded when they change')
    .option('--state-directory <folder>', 'where CA key, sessions and admin token are kept, private')
    .addOption(
      new Option('--log-level <level>', 'default: info').choices(['debug', 'info', 'warn', 'error', 'fatal', 'silent']),
    )
    .addOption(new Option('--log-format <format>', 'default: text on a terminal, else json').choices(['text', 'json']))
    .option('--json', 'print where everything is as one line of JSON')
    .addHelpText(
      'after',
      examples('sallyport serve', 'sallyport serve --config /etc/sallyport/sallyport.yaml --log-format json').concat(
        '\nSIGHUP reads the policies again; SIGTERM and SIGINT stop it in order.\n',
      ),
    )
    .action(async (options: Options) => exitWith(await serve(options, world)))
}

async function serve(options: Options, world: World): Promise<number> {
  const loaded = await loadForGateway(world, choiceOf(options), flagsOf(options))
  const { config, variable } = loaded
  const log = logFor(config, world)
  endOnBugs(log)
  for (const warning of loaded.warnings) log.warn({}, warning)
  const gateway = await start(config, { log, variable, now: world.now })
  if (options.json === true) world.out.write(`${JSON.stringify(factsOf(gateway))}\n`)
  else world.out.write(welcome(gateway, loaded, world))
  const notice = createSystemdNotice(world.env, log)
  // Signals are heard before anybody is told whom to send them to.
  await Promise.all([untilStopped(gateway, log, notice), notice('ready')])
  return 0
}

function flagsOf(options: Options): Flags {
  return {
    listeners: options.listen,
    'control.address': options.control,
    policies: options.policies,
    stateDirectory: options.stateDirectory,
    'log.level': options.logLevel,
    'log.format': options.logFormat,
  }
}

function factsOf({ proxies, control, caPath, bundlePath, adminTokenPath }: Gateway): object {
  return { proxies, control, ca: caPath, bundle: bundlePath, adminTokenPath, pid: process.pid }
}

function untilStopped(gateway: Gateway, log: Log, notice: SystemdNotice): Promise<void> {
  return new Promise((resolve, reject) => {
    let isStopping = false
    const stop = (signal: NodeJS.Signals): void => {
      if (isStopping) process.exit(1)
      isStopping = true
      log.info({ signal }, 'stopping')
      void notice('stopping')
      gateway.stop().then(() => {
        log.info({}, 'stopped')
        resolve()
      }, reject)
    }
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
    process.on('SIGHUP', () => {
      gateway.reload().catch((error: unknown) => log.error({ error }, 'policies not reloaded'))
    })
  })
}

function endOnBugs(log: Log): void {
  const end = (error: unknown): void => {
    log.fatal({ error }, 'the gateway failed and ends; this is a bug')
    process.exit(70)
  }
  process.on('uncaughtException', end)
  process.on('unhandledRejection', end)
}
