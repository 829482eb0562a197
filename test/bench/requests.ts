/**
 * How many requests does a second of CPU carry, plain and intercepted, beside squid that does the same?
 *
 * Sallyport: session by token (plain) or tunnel, policy, credential (intercepted), audit log and metrics on. Squid: Basic
 * authentication (plain), `ssl_bump` with an injected field (intercepted), no log. 64 keep-alive connections, 1 KiB answers.
 * Each is loaded for some seconds before the first round: both run for weeks, and only one of them compiles as it goes.
 */

import {
  createWorld,
  type Measure,
  median,
  perCpuSecond,
  plainTarget,
  type Proxy,
  print,
  tlsTarget,
  type World,
} from './bench-world.ts'

const rounds = Number(process.argv[2] ?? 5)
const warmUpSeconds = '6'
const seconds = process.argv[3] ?? '3'

const plain = ['--style', 'abs', '--target', plainTarget, '--conc', '64', '--secs', seconds, '--warm', '1.5']
const intercepted = [
  '--style',
  'connect',
  '--tls',
  '--intercepted',
  '--target',
  tlsTarget,
  '--conc',
  '64',
  '--secs',
  seconds,
  '--warm',
  '1.5',
  '--extra',
  'Authorization: Bearer dummy',
]

const world = await createWorld()
try {
  print('requests per CPU-second', {
    plain: await compare(world, await world.gateway({ policy: 'plain' }), await world.squid('authenticated'), plain),
    intercepted: await compare(
      world,
      await world.gateway({ policy: 'inject' }),
      await world.squid('bump'),
      intercepted,
    ),
  })
} finally {
  await world.close()
}

function warmUp(args: readonly string[]): string[] {
  return args.map((arg, i) => (args[i - 1] === '--secs' ? warmUpSeconds : arg))
}

async function compare(within: World, ours: Proxy, theirs: Proxy | null, args: readonly string[]): Promise<object> {
  for (const proxy of [ours, theirs]) if (proxy !== null) await within.load(proxy, warmUp(args))
  const measures: { ours: Measure[]; theirs: Measure[] } = { ours: [], theirs: [] }
  for (let round = 0; round < rounds; round++) {
    measures.ours.push(await within.load(ours, args))
    if (theirs !== null) measures.theirs.push(await within.load(theirs, args))
  }
  const sallyport = median(measures.ours.map(perCpuSecond))
  const squid = theirs === null ? null : median(measures.theirs.map(perCpuSecond))
  return {
    sallyport,
    squid,
    ratio: squid === null ? 'squid is not installed' : Number((sallyport / squid).toFixed(2)),
    rounds: measures,
  }
}
