/**
 * `sallyport env`: the environment of a session's sandbox, for a token that is there already.
 *
 * Promises: a token is taken from standard input or a variable, never from the command line, which every user of the
 * machine can read; nothing is changed at the gateway.
 */

import { existsSync } from 'node:fs'
import path from 'node:path'
import { text as readText } from 'node:stream/consumers'
import { Option } from 'commander'
import type { Config } from '../../config/config-schema.ts'
import { sandboxEnvironment } from '../../config/sandbox-environment.ts'
import type { SessionView } from '../../control/schemas.ts'
import { CredentialBook } from '../../credentials/credential-book.ts'
import { StartError } from '../../gateway.ts'
import { type ClientUrl, clientUrlOf } from '../../gateway/proxy-doors.ts'
import { readStateKey } from '../../gateway/replica-parts.ts'
import { deriveKey, loadStateKey } from '../../sessions/state-key.ts'
import { publicFilesIn } from '../../tls/public-files.ts'
import { type AddCommand, examples } from '../command.ts'
import { configFor } from '../configuration.ts'
import { addControlOptions, connectControl, type ControlOptions } from '../control-options.ts'
import { type EnvironmentFormat, environmentFormats, environmentText } from '../environment-text.ts'
import { visible } from '../paint.ts'
import { Complaint, misuse, type World } from '../world.ts'

type Options = ControlOptions & {
  readonly session?: string
  readonly format: EnvironmentFormat
  readonly proxy?: string
  readonly caDirectory?: string
  readonly jvm?: true
  readonly json?: true
}

export const addEnvCommand: AddCommand = (program, world, exitWith) => {
  addControlOptions(
    program
      .command('env')
      .description("The environment of a session's sandbox. Its token comes from SALLYPORT_TOKEN or standard input."),
  )
    .option('--session <id>', 'the session; not needed where the token is given as id:token')
    .addOption(new Option('--format <format>', 'whose spelling').choices(environmentFormats).default('shell'))
    .option(
      '--proxy <host:port>',
      'where the sandbox reaches the proxy, with https:// before it if it speaks TLS; default: where the configuration has it listen',
    )
    .option('--ca-directory <directory>', 'where the sandbox sees the files of the public directory; default: there')
    .option('--jvm', 'JAVA_TOOL_OPTIONS too: proxy and trust store; some builds break on its notice')
    .option('--json', 'the same as --format json')
    .addHelpText(
      'after',
      examples(
        'eval "$(SALLYPORT_TOKEN=s-abc:… sallyport env)"',
        'sallyport env --session s-abc --format docker --proxy gateway:3128 --ca-directory /etc/sallyport < token > sandbox.env',
      ),
    )
    .action(async (options: Options) => exitWith(await env(options, world)))
}

async function env(options: Options, world: World): Promise<number> {
  const { id, token } = await readProof(options, world)
  const config = await configFor(world, options)
  const environment = sandboxEnvironment({
    proxyUrl: proxyUrlOf(options.proxy, config, `${id}:${token}`),
    files: publicFilesIn(options.caDirectory ?? config.publicDirectory),
    placeholders: await findPlaceholders(id, options, config, world),
    jvm: options.jvm === true,
  })
  const spelled = environmentText(environment, options.json === true ? 'json' : options.format)
  if (typeof spelled === 'string') throw new Complaint(`${spelled}; use --format json`)
  world.out.write(spelled.text)
  return 0
}

type Proof = { readonly id: string; readonly token: string }

async function readProof({ session }: Options, world: World): Promise<Proof> {
  const given = world.env['SALLYPORT_TOKEN']
  if (given === undefined && world.stdin.isTTY === true)
    throw misuse('a session token is needed; set SALLYPORT_TOKEN, or write it to standard input')
  const parts = (given ?? (await readText(world.stdin))).trim().split(':')
  const [first = '', second] = parts
  const id = second === undefined ? session : first
  const token = second ?? first
  if (id === undefined) throw misuse('the session is needed too; add --session ID, or give the token as id:token')
  if (session !== undefined && session !== id)
    throw misuse(`the token is one of ${visible(id)}, not of ${visible(session)}`)
  if (!/^[a-z0-9][a-z0-9._-]{0,63}$/i.test(id)) throw misuse(`"${visible(id)}" is no session id`)
  if (parts.length > 2 || !/^[A-Za-z0-9_-]{16,256}$/.test(token))
    throw misuse('that is no session token; take the one "session create" showed')
  return { id, token }
}

/** What is given, or the listener that the API of the gateway would name too. */
function proxyUrlOf(given: string | undefined, { listeners }: Config, proof: string): string {
  const addresses = listeners.map(({ address }) => address)
  if (given === undefined && addresses.every((address) => address.startsWith('unix:')))
    throw misuse('the configuration has no TCP listener; name one with --proxy host:port')
  const { scheme, authority } = given === undefined ? clientUrlOf(listeners, addresses) : givenUrlOf(given)
  return `${scheme}://${proof}@${authority}`
}

function givenUrlOf(given: string): ClientUrl {
  const [, scheme, authority] = /^(?:(https?):\/\/)?((?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5})$/.exec(given) ?? []
  if (authority === undefined) throw misuse(`"${visible(given)}" is no host:port`)
  return { scheme: scheme === 'https' ? 'https' : 'http', authority }
}

/** What stands in for the secrets of this session: only the gateway's own user can tell, and only if there are any. */
async function findPlaceholders(
  id: string,
  options: Options,
  config: Config,
  world: World,
): Promise<Record<string, string>> {
  if (config.credentials.every(({ placeholder }) => placeholder === null)) return {}
  const stateKey = await stateKeyOf(config, world)
  if (typeof stateKey === 'string') {
    world.err.write(`placeholders are left out: ${stateKey}\n`)
    return {}
  }
  const client = await connectControl(options, world)
  const session = parseSession(await client.call('GET', `/v1/sessions/${encodeURIComponent(id)}`))
  const book = new CredentialBook({
    credentials: config.credentials,
    placeholderKey: deriveKey(stateKey, 'placeholders'),
    // No secret is read for this.
    world: { variable: () => undefined, now: () => 0 },
    log: () => undefined,
  })
  try {
    return Object.fromEntries(book.environmentFor(session.id, Object.values(session.credentials)))
  } finally {
    book.close()
  }
}

/** The key, or why it is not there. */
async function stateKeyOf({ stateKey, stateDirectory }: Config, world: World): Promise<Buffer | string> {
  if (stateKey !== null) {
    try {
      return await readStateKey(stateKey, { variable: (name) => world.env[name] })
    } catch (error) {
      if (error instanceof StartError) return error.message
      throw error
    }
  }
  if (!existsSync(path.join(stateDirectory, 'state-key'))) return `the state of the gateway is not at ${stateDirectory}`
  return loadStateKey(stateDirectory, () => {
    throw new Complaint('the state of the gateway is gone')
  })
}

function parseSession(value: unknown): SessionView {
  return value as SessionView
}
