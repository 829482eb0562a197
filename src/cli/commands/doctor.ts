/**
 * `sallyport doctor`: the clients that are on this machine, and whether this environment leads them through the gateway.
 *
 * Promises: no network is asked; nothing but `node --version` is run; exit 0 only where each client found is wired, or
 * could not be by any environment and is named.
 */

import { execFile } from 'node:child_process'
import { accessSync, constants, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { clients, type Surroundings, type Wiring, wiringOf } from '../client-wiring.ts'
import { type AddCommand, examples } from '../command.ts'
import { rootStores } from '../isolation-facts.ts'
import { columns, paintFor, visible } from '../paint.ts'
import { type Environment, misuse, type World } from '../world.ts'

type Options = { readonly ca?: string; readonly json?: true }

type Finding = Wiring & { readonly client: string; readonly program: string }

const versionMs = 5000

export const addDoctorCommand: AddCommand = (program, world, exitWith) => {
  program
    .command('doctor')
    .description(
      'Which clients of this machine this environment leads through the gateway. Exit 1 if one is not wired.',
    )
    .option('--ca <file>', "the gateway's certificate; default: what NODE_EXTRA_CA_CERTS names")
    .option('--json', 'print the findings as JSON')
    .addHelpText('after', examples('sallyport doctor', 'sallyport run -- sallyport doctor'))
    .action(async (options: Options) => exitWith(await doctor(options, world)))
}

async function doctor(options: Options, world: World): Promise<number> {
  const { env } = world
  const file = options.ca ?? env['NODE_EXTRA_CA_CERTS']
  const ca = file === undefined ? null : readRoots(path.resolve(world.cwd, file))
  if (options.ca !== undefined && ca === null) throw misuse(`${options.ca} holds no certificate`)
  const found = clients.flatMap((client) => {
    const place = findOnPath(client.program, env)
    return place === null ? [] : [{ client, place }]
  })
  const node = found.find(({ client }) => client.program === 'node')
  const surroundings: Surroundings = {
    env,
    trusts: (store) => ca !== null && holds(store, ca),
    systemTrusts: ca !== null && rootStores.some((one) => holds(one, ca)),
    nodeVersion: node === undefined ? null : await versionOf(node.place, env),
  }
  const findings = found.map(({ client, place }) => ({
    client: client.name,
    program: place,
    ...wiringOf(client, surroundings),
  }))
  if (options.json === true) world.out.write(`${JSON.stringify(findings, null, 2)}\n`)
  else tell(findings, world)
  return findings.every(({ verdict }) => verdict !== 'not wired') ? 0 : 1
}

const colours = { 'by hand': 'yellow', 'not wired': 'red', wired: 'green' } as const

function tell(findings: readonly Finding[], world: World): void {
  const paint = paintFor(world.out, world.env)
  const rows = findings.map(({ client, verdict, detail }) => [verdict, client, visible(detail)])
  world.out.write(
    columns(rows, (cell, row, column) =>
      column === 0 ? paint(colours[findings[row]?.verdict ?? 'not wired'], cell) : cell,
    ),
  )
  const count = findings.filter(({ verdict }) => verdict === 'not wired').length
  const advice = 'evaluate what "sallyport env" or "session create --format env" prints'
  if (count > 0) world.out.write(`${paint('red', `${count} not wired`)}; ${advice}\n`)
  else world.out.write(`${paint('green', `${findings.length} clients found, none astray`)}\n`)
}

function findOnPath(program: string, env: Environment): string | null {
  const folders = (env['PATH'] ?? '').split(path.delimiter).filter((folder) => path.isAbsolute(folder))
  return folders.map((folder) => path.join(folder, program)).find(isProgram) ?? null
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}

function versionOf(node: string, env: Environment): Promise<string | null> {
  return new Promise((resolve) => {
    execFile(node, ['--version'], { timeout: versionMs, env: { PATH: env['PATH'] } }, (error, out) =>
      resolve(error === null ? out.trim() : null),
    )
  })
}

/** The first certificate of a file, without the line ends that tools disagree on. */
function readRoots(file: string): string | null {
  const [pem] = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(read(file)) ?? []
  return pem === undefined ? null : squeezed(pem)
}

function holds(file: string, certificate: string): boolean {
  return squeezed(read(file)).includes(certificate)
}

function squeezed(text: string): string {
  return text.replaceAll(/\s+/g, '')
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
