/**
 * `sallyport verify`: run inside a sandbox, it tries every other way out and says which are open.
 *
 * Promises: exit 0 only where each wall stands and the gateway works; nothing but the environment is needed, no
 * configuration and no state of a gateway.
 */

import { InvalidArgumentError } from 'commander'
import { parseAuthority } from '../../net/authority.ts'
import { parseIp } from '../../net/ip.ts'
import { type AddCommand, examples } from '../command.ts'
import { columns, paintFor, visible } from '../paint.ts'
import { checkSandbox, type Finding, type Verdict } from '../sandbox-checks.ts'
import type { World } from '../world.ts'

type Options = {
  readonly allowed?: string
  readonly address: string
  readonly address6: string
  readonly name: string
  readonly controlPort: number
  readonly timeout: number
  readonly json?: true
}

export const addVerifyCommand: AddCommand = (program, world, exitWith) => {
  program
    .command('verify')
    .description('Inside a sandbox: does the gateway work, and is there any other way out? Exit 1 if one is open.')
    .option('--allowed <host:port>', 'what the policy allows; default: the first host that a rule names', parseTarget)
    .option('--address <address>', 'an address of the internet, to be tried directly', parseAddress, '1.1.1.1')
    .option('--address6 <address>', 'the same of IPv6', parseAddress, '2606:4700:4700::1111')
    .option('--name <name>', 'a name that everyone can resolve', 'example.com')
    .option('--control-port <port>', "of the gateway's control API", parsePort, 3180)
    .option('--timeout <seconds>', 'how long each attempt may take', parseSeconds, 3)
    .option('--json', 'print the findings as JSON')
    .addHelpText('after', examples('sallyport verify', 'docker compose run --rm sandbox verify'))
    .action(async (options: Options) => exitWith(await verify(options, world)))
}

async function verify({ timeout, allowed, json, ...options }: Options, world: World): Promise<number> {
  const findings = await checkSandbox({
    ...options,
    allowed: allowed ?? null,
    timeoutMs: timeout * 1000,
    env: world.env,
  })
  if (json === true) world.out.write(`${JSON.stringify(findings, null, 2)}\n`)
  else tell(findings, world)
  return findings.every(({ verdict }) => verdict === 'ok' || verdict === 'skipped') ? 0 : 1
}

const colours: Readonly<Record<Verdict, 'green' | 'red' | 'yellow'>> = {
  broken: 'red',
  ok: 'green',
  open: 'red',
  skipped: 'yellow',
}

function tell(findings: readonly Finding[], world: World): void {
  const paint = paintFor(world.out, world.env)
  const shout = (verdict: Verdict): string =>
    verdict === 'ok' || verdict === 'skipped' ? verdict : verdict.toUpperCase()
  const rows = findings.map(({ wall, verdict, detail }) => [shout(verdict), wall, visible(detail)])
  world.out.write(
    columns(rows, (cell, row, column) =>
      column === 0 ? paint(colours[findings[row]?.verdict ?? 'broken'], cell) : cell,
    ),
  )
  const count = (verdict: Verdict): number => findings.filter((one) => one.verdict === verdict).length
  const [open, broken] = [count('open'), count('broken')]
  if (open + broken === 0) world.out.write(`${paint('green', 'no way out but the gateway')}\n`)
  else world.out.write(`${paint('red', `${open} open, ${broken} broken`)}\n`)
}

function parseTarget(written: string): string {
  if (parseAuthority(written) === null)
    throw new InvalidArgumentError('write a host and a port, as in api.example.org:443')
  return written
}

function parseAddress(written: string): string {
  if (parseIp(written) === null) throw new InvalidArgumentError('write an address')
  return written
}

function parsePort(written: string): number {
  const port = /^\d{1,5}$/.test(written) ? Number(written) : 0
  if (port < 1 || port > 65_535) throw new InvalidArgumentError('write a port')
  return port
}

function parseSeconds(written: string): number {
  const seconds = /^\d{1,2}$/.test(written) ? Number(written) : 0
  if (seconds < 1) throw new InvalidArgumentError('write whole seconds, 1 to 99')
  return seconds
}
