/** What every command has in common: help, wrong usage, colour, errors. */

import { describe, expect, test } from 'vitest'
import { directoryWith, say } from './fake-world.ts'

const commands = [
  'serve',
  'run',
  'session create',
  'session list',
  'session show',
  'session update',
  'session token',
  'session revoke',
  'policy check',
  'policy explain',
  'policy test',
  'policy presets',
  'env',
  'ca show',
  'ca path',
  'ca bundle',
  'logs',
  'verify',
  'doctor',
  'health',
  'config show',
  'config check',
  'config schema',
  'demo',
]

/** They print data, so a machine may want it. */
const withoutJson = new Set([
  'run',
  'health',
  'session revoke',
  'ca path',
  'ca bundle',
  'config check',
  'config schema',
])

describe.each(commands)('%s', (command) => {
  test('has help with an example, and JSON where it prints data', async () => {
    const { code, out, err } = await say([...command.split(' '), '--help'])
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(/\nExamples?:\n {2}\S/)
    expect(out.includes('--json')).toBe(!withoutJson.has(command))
  })

  test('an unknown option is wrong usage, said in one line', async () => {
    const { code, out, err } = await say([...command.split(' '), '--no-such-option'])
    expect([code, out]).toEqual([2, ''])
    expect(err).toMatch(/^sallyport: .*; see --help\n$/)
  })
})

test('the list of this test is the list of the program', async () => {
  const named: string[] = []
  for (const name of listed((await say(['--help'])).out)) {
    const subcommands = listed((await say([name, '--help'])).out)
    named.push(...(subcommands.length === 0 ? [name] : subcommands.map((subcommand) => `${name} ${subcommand}`)))
  }
  expect(named.sort()).toEqual([...commands].sort())
})

function listed(help: string): string[] {
  const section = help.split('\nCommands:\n')[1]?.split('\n\n')[0] ?? ''
  return [...section.matchAll(/^ {2}([a-z]+) /gm)].map(([, name = '']) => name).filter((name) => name !== 'help')
}

describe('wrong usage', () => {
  test.each([
    ['no command', []],
    ['an unknown command', ['sevre']],
    ['a group without its command', ['policy']],
    ['run without a command', ['run', '--policy', 'npm']],
    ['an unknown mode', ['run', '--mode', 'off', '--', 'true']],
    ['a duration without a unit', ['session', 'create', '--policy', 'npm', '--ttl', '30']],
    ['a label without a value', ['session', 'create', '--policy', 'npm', '--label', 'team']],
    ['a limit of nothing', ['logs', '--limit', '0']],
    ['following a file', ['logs', '-f', '--file', 'audit.jsonl']],
    ['a change of nothing', ['session', 'update', 's-1']],
    ['a control address that is none', ['session', 'list', '--control', 'nonsense']],
    ['an allowed host without a port', ['verify', '--allowed', 'example.org']],
    ['an address that is none', ['verify', '--address', 'example.org']],
    ['a wait without end', ['health', '--wait', 'ever']],
    ['an empty token', ['env', '--session', 's-1']],
    ['a token too much like a URL', ['env', '--session', 's-1@evil.example']],
  ])('%s exits 2 and prints nothing to standard output', async (_name, argv) => {
    const { code, out, err } = await say(argv)
    expect([code, out]).toEqual([2, ''])
    expect(err).not.toBe('')
    expect(err).not.toContain('    at ')
  })
})

describe('colour', () => {
  const line = ['policy', 'explain', '--policy', 'npm', 'https://any.npmjs.org/a']
  test.each([
    ['on a terminal there is colour', true, {}, true],
    ['NO_COLOR takes it away', true, { NO_COLOR: '1' }, false],
    ['an empty NO_COLOR means nothing', true, { NO_COLOR: '' }, true],
    ['a dumb terminal has none', true, { TERM: 'dumb' }, false],
    ['a pipe has none', false, {}, false],
  ])('%s', async (_name, isTerminal, env, isColoured) => {
    const { out } = await say(line, { isTerminal, env })
    expect(out.includes('\u001b[')).toBe(isColoured)
  })
})

describe('config', () => {
  test('every value is shown with who said it', async () => {
    const cwd = directoryWith({ 'sallyport.yaml': 'version: 1\ncontrol: { address: "127.0.0.1:4180" }\n' })
    const env = { SALLYPORT_LOG_LEVEL: 'warn' }
    const { code, out } = await say(['config', 'show'], { cwd, env })
    expect(code).toBe(0)
    expect(out).toMatch(/^control\.address +127\.0\.0\.1:4180 +\S*sallyport\.yaml$/m)
    expect(out).toMatch(/^log\.level +warn +SALLYPORT_LOG_LEVEL$/m)
    expect(out).toMatch(/^sessions\.defaultTtl +1h +default$/m)
  })

  test('all problems come at once, with places and fixes', async () => {
    const cwd = directoryWith({ 'bad.yaml': 'version: 1\nlistners: []\ncontrol: { address: 7 }\n' })
    const { code, err } = await say(['config', 'check', 'bad.yaml'], { cwd })
    expect(code).toBe(1)
    expect(err).toMatch(/bad\.yaml:2:\d+: listners: .*did you mean/)
    expect(err).toMatch(/bad\.yaml:3:\d+: control\.address/)
  })

  test('the schema is one', async () => {
    const { code, out } = await say(['config', 'schema'])
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ title: 'sallyport.yaml', type: 'object' })
  })
})

test('a gateway that is not there is one line with the fix', async () => {
  const { code, err } = await say(['session', 'list', '--control', '127.0.0.1:1'], {
    env: { SALLYPORT_ADMIN_TOKEN: 'x' },
  })
  expect(code).toBe(1)
  expect(err).toMatch(/^sallyport: no gateway answers at http:\/\/127\.0\.0\.1:1; start one with .*\n$/)
})

test('a CA that is not there yet is one line with the fix', async () => {
  const { code, err } = await say(['ca', 'show'], { cwd: directoryWith({}) })
  expect(code).toBe(1)
  expect(err).toMatch(/^sallyport: there is no CA at .*ca\.pem yet; start the gateway once.*\n$/)
})

describe('logs of a file', () => {
  const lines = [
    '{"event":"open","decisionId":"d-1","time":"2026-01-01T00:00:00.000Z"}',
    JSON.stringify({
      event: 'final',
      decisionId: 'd-2',
      time: '2026-01-01T00:00:01.000Z',
      session: 's-1',
      kind: 'request',
      method: 'GET',
      scheme: 'https',
      host: 'a.example.org',
      port: 443,
      path: '/',
      outcome: 'deny',
      reason: 'host_not_allowed',
      status: 403,
      durations: { total: 1 },
      credentials: [],
      redactions: 0,
      bodyPlaceholders: 0,
      nearLimits: [],
      repeated: 1,
    }),
    JSON.stringify({
      event: 'final',
      decisionId: 'd-3',
      time: '2026-01-01T00:00:02.000Z',
      session: 's-2',
      kind: 'request',
      method: 'GET',
      scheme: 'https',
      host: 'b.example.org',
      port: 443,
      path: '/',
      outcome: 'allow',
      reason: null,
      status: 200,
      bytesUp: 1,
      bytesDown: 1,
      durations: { total: 1 },
      credentials: [],
      redactions: 0,
      bodyPlaceholders: 0,
      nearLimits: [],
      repeated: 1,
    }),
    'cut off {"event":',
  ]
  const cwd = (): string => directoryWith({ 'audit.jsonl': `${lines.join('\n')}\n` })

  test('decisions are lines, and what is none is counted', async () => {
    const { code, out, err } = await say(['logs', '--file', 'audit.jsonl'], { cwd: cwd() })
    expect(code).toBe(0)
    expect(out.split('\n').map((line) => line.split('  ')[1]?.trim())).toEqual(['DENY', 'allow', undefined])
    expect(err).toMatch(/^2 lines are no records/)
  })

  test.each([
    [['--denied'], ['d-2']],
    [['--session', 's-2'], ['d-3']],
    [['--host', 'B.example.org'], ['d-3']],
    [['--limit', '1'], ['d-3']],
  ])('%j', async (flags, ids) => {
    const { out } = await say(['logs', '--json', '--file', 'audit.jsonl', ...flags], { cwd: cwd() })
    const records = out
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line))
    expect(records.map((record) => (record as { decisionId: string }).decisionId)).toEqual(ids)
  })
})
