import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type ConfigChoice,
  issueText,
  loadConfig,
  type LoadedConfig,
  type LoadOptions,
} from '../../../src/config/load-config.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'config-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

type Changes = Partial<LoadOptions> & { readonly text?: string }

function attempt({ text, ...changes }: Changes = {}) {
  if (text !== undefined) writeFileSync(join(folder, 'sallyport.yaml'), text)
  return loadConfig({
    choice: { kind: 'working-directory' },
    flags: {},
    cwd: folder,
    environment: { HOME: '/home/dev' },
    ...changes,
  })
}

async function load(changes: Changes = {}): Promise<LoadedConfig> {
  const loaded = await attempt(changes)
  if (Array.isArray(loaded)) throw new Error(loaded.map(issueText).join('\n'))
  return loaded
}

async function problems(changes: Changes = {}): Promise<string[]> {
  const loaded = await attempt(changes)
  return Array.isArray(loaded) ? loaded.map((issue) => issueText(issue).replaceAll(`${folder}/`, '')) : []
}

it('without a file, variables or flags the defaults hold: loopback doors, no tokens, the shipped policies', async () => {
  const { config, file, warnings } = await load()
  expect(config).toMatchObject({
    listeners: [{ address: '127.0.0.1:3128', session: null }],
    control: { address: '127.0.0.1:3180', tokens: [] },
    stateDirectory: '/home/dev/.local/state/sallyport',
    publicDirectory: '/home/dev/.local/state/sallyport/public',
    policies: null,
    audit: { file: '/home/dev/.local/state/sallyport/audit.jsonl', stdout: false, fsync: 'never' },
    sessions: { store: 'file', defaultTtlMs: 3_600_000, secretKey: null, static: [] },
    upstream: { roots: 'bundled', extraCa: null },
  })
  expect(Object.values(config.limits).every((limit) => Number.isSafeInteger(limit) && limit > 0)).toBe(true)
  expect([file, warnings]).toEqual([null, []])
})

it('XDG_STATE_HOME moves the state directory, and a relative one is ignored', async () => {
  const state = async (value: string) =>
    (await load({ environment: { HOME: '/home/dev', XDG_STATE_HOME: value } })).config.stateDirectory
  expect(await state('/var/state')).toBe('/var/state/sallyport')
  expect(await state('state')).toBe('/home/dev/.local/state/sallyport')
})

it('each value comes from the last of defaults, file, environment and flags that says it, and its origin is known', async () => {
  const { config, origins, file } = await load({
    text: 'version: 1\nlog: { level: warn }\nlimits: { leafCache: 5, dnsCache: 6, sessions: 7 }\n',
    environment: { HOME: '/home/dev', SALLYPORT_LIMITS_DNS_CACHE: '60', SALLYPORT_LIMITS_SESSIONS: '70' },
    flags: { 'limits.sessions': '700', 'control.address': '127.0.0.1:0' },
  })
  expect(config.limits).toMatchObject({ leavesMax: 5, dnsNamesMax: 60, sessionsMax: 700, deniedLeavesMax: 256 })
  expect(file).toBe(join(folder, 'sallyport.yaml'))
  const origin = (path: string) => origins.get(path)
  expect(['limits.deniedLeafCache', 'limits.leafCache', 'limits.dnsCache', 'limits.sessions'].map(origin)).toEqual([
    'default',
    'file',
    'env',
    'flag',
  ])
  expect([origin('log.level'), origin('log.format'), origin('control.address')]).toEqual(['file', 'default', 'flag'])
})

it('a path in the file is relative to the file, one in a flag to the working directory, ~/ to the home', async () => {
  const inner = join(folder, 'etc')
  mkdirSync(inner)
  writeFileSync(join(inner, 'my.yaml'), 'version: 1\npolicies: ./p\nstateDirectory: ~/s\naudit: { file: a.jsonl }\n')
  const choice: ConfigChoice = { kind: 'file', file: 'etc/my.yaml' }
  const { config } = await load({ choice, flags: { 'audit.file': 'b.jsonl' } })
  expect(config.policies).toBe(join(inner, 'p'))
  expect(config.stateDirectory).toBe('/home/dev/s')
  expect(config.audit.file).toBe(join(folder, 'b.jsonl'))
})

it('JSON is read as well', async () => {
  expect((await load({ text: '{ "version": 1, "log": { "level": "error" } }' })).config.log.level).toBe('error')
})

it('a run takes the file of the user, never the one of the working directory (decision 2)', async () => {
  mkdirSync(join(folder, '.config/sallyport'), { recursive: true })
  writeFileSync(join(folder, '.config/sallyport/sallyport.yaml'), 'version: 1\nlog: { level: fatal }\n')
  const text = 'version: 1\nlog: { level: debug }\n'
  const { config } = await load({ text, choice: { kind: 'user' }, environment: { HOME: folder } })
  expect(config.log.level).toBe('fatal')
  expect((await load({ choice: { kind: 'none' } })).file).toBe(null)
})

it('all problems come at once, each with its line, column and fix', async () => {
  const text = `version: 1
listners: []
listeners:
  - address: nowhere
limits: { leafCache: 0, headTimeout: 10 }
sessions: { store: redis, defaultTtl: 0s }
upstream: { proxy: "http://gate:word@parent:8080", dns: { servers: [one.example], hosts: { "10.0.0.1": 10.0.0.1, a.example: b } } }
credentials:
  - { name: x, kind: bearer, secret: sk-live-0123456789abcdef, hosts: [a.example] }
`
  const found = await problems({ text, environment: { HOME: '/h', SALLYPORT_LOG_LEVEL: 'loud', NODE_DEBUG: 'tls' } })
  expect(found.map((line) => line.replace(/; .*/, ''))).toEqual([
    'NODE_DEBUG: prints heads and keys of connections to standard error',
    'SALLYPORT_LOG_LEVEL: log.level: "loud" is none of its values',
    'sallyport.yaml:2:1: listners: unknown key "listners"',
    'sallyport.yaml:4:5: listeners[0].address: "nowhere" is nowhere to listen',
    'sallyport.yaml:5:11: limits.leafCache: 0 is no limit',
    'sallyport.yaml:5:25: limits.headTimeout: 10 is no limit',
    'sallyport.yaml:6:13: sessions.store: "redis" is none of its values',
    'sallyport.yaml:6:27: sessions.defaultTtl: "0s" is no time to live',
    'sallyport.yaml:7:13: upstream.proxy.address: is no address of a proxy',
    'sallyport.yaml:7:69: upstream.dns.servers[0]: "one.example" is no name server',
    'sallyport.yaml:7:92: upstream.dns.hosts.10.0.0.1: is not the name of a host',
    'sallyport.yaml:7:114: upstream.dns.hosts.a.example: has something that is no address',
    'sallyport.yaml:9:30: credentials[0].secret: does not say where the value comes from',
  ])
  expect(found.join()).not.toContain('sk-live')
})

it.each([
  ['an empty file', '', 'sallyport.yaml:1:1: is no configuration'],
  ['a list', '- a\n', 'sallyport.yaml:1:1: is no configuration'],
  ['no version', 'log: {}\n', 'sallyport.yaml:1:1: "version" is missing'],
  ['a version we do not know', 'version: 2\n', 'sallyport.yaml:1:1: version: 2 is not the value expected'],
  ['a key twice', 'version: 1\nversion: 1\n', 'sallyport.yaml:2:1: has the key "version" twice'],
  ['a section without content', 'version: 1\nlimits:\n', 'sallyport.yaml:2:1: limits: null is not a group of keys'],
  ['records that go nowhere', 'version: 1\naudit: { file: null }\n', 'sallyport.yaml:2:10: audit.file: is null'],
  ['a prototype as a key', 'version: 1\n__proto__: { a: 1 }\n', 'sallyport.yaml:2:1: __proto__: unknown key'],
])('%s is a problem with a place', async (_, text, expected) => {
  const [first = ''] = await problems({ text })
  expect(first.slice(0, expected.length)).toBe(expected)
})

describe('variables (decision 8)', () => {
  it.each([
    [
      'a misspelt one',
      { SALLYPORT_AUDT_FILE: 'x' },
      'SALLYPORT_AUDT_FILE: is no setting; did you mean SALLYPORT_AUDIT_FILE?',
    ],
    ['an empty one', { SALLYPORT_AUDIT_FILE: '' }, 'SALLYPORT_AUDIT_FILE: is empty; give it a value, or unset it'],
    [
      'neither true nor false',
      { SALLYPORT_AUDIT_STDOUT: 'yes' },
      'SALLYPORT_AUDIT_STDOUT: "yes" is neither true nor false; write true or false',
    ],
  ])('%s is refused', async (_, environment, expected) => {
    expect(await problems({ environment: { HOME: '/h', ...environment } })).toEqual([expected])
  })

  it('one that the file names as the source of a secret is no setting, whatever its name', async () => {
    const text = 'version: 1\ncontrol: { tokens: [{ name: a, scopes: [admin], secret: { env: SALLYPORT_MINE } }] }\n'
    const loaded = await load({ text, environment: { HOME: '/h', SALLYPORT_MINE: 'secret' } })
    expect(loaded.variable('SALLYPORT_MINE')).toBe('secret')
    expect(
      JSON.stringify([loaded.config, loaded.effective], (_, value: unknown) =>
        typeof value === 'bigint' ? '' : value,
      ),
    ).not.toContain('"secret":"secret"')
  })

  it('one that is like no setting is somebody else’s, and said to change nothing', async () => {
    const { warnings } = await load({ text: 'version: 1\n', environment: { HOME: '/h', SALLYPORT_MINE: 'x' } })
    expect(warnings).toEqual(['SALLYPORT_MINE is no setting: it changes nothing here'])
  })

  it('those of the client commands are no business of a gateway', async () => {
    expect(await problems({ environment: { HOME: '/h', SALLYPORT_TOKEN: 't', SALLYPORT_CONTROL_URL: 'u' } })).toEqual(
      [],
    )
  })

  it('a list is separated by commas, listeners too', async () => {
    const environment = {
      HOME: '/h',
      SALLYPORT_LISTEN: '127.0.0.1:1, unix:/run/a.sock',
      SALLYPORT_UPSTREAM_DNS_SERVERS: '192.0.2.1,[2001:db8::1]:53',
    }
    const { config } = await load({ environment })
    expect(config.listeners.map(({ address }) => address)).toEqual(['127.0.0.1:1', 'unix:/run/a.sock'])
    expect(config.upstream.dns.servers).toEqual(['192.0.2.1', '[2001:db8::1]:53'])
  })
})

describe('who becomes a static session (decision 5)', () => {
  const config = (address: string, session: string) =>
    `version: 1\nlisteners: [{ address: "${address}", session: agent }]\nsessions: { static: [{ id: agent, policy: p${session} }] }\n`
  it.each([
    ['loopback', '127.0.0.1:3128', '', 0],
    ['the other loopback', '[::1]:3128', '', 0],
    ['a Unix socket', 'unix:/run/a.sock', '', 0],
    ['every address', '0.0.0.0:3128', '', 1],
    ['every IPv6 address', '[::]:3128', '', 1],
    ['every address with sources', '0.0.0.0:3128', ', sources: [10.0.0.0/8]', 0],
    ['every address with a token', '0.0.0.0:3128', ', token: { env: AGENT_TOKEN }', 0],
  ])('on %s', async (_, address, session, count) => {
    expect(await problems({ text: config(address, session) })).toHaveLength(count)
  })

  it.each([
    [
      'nothing proves it',
      'sessions: { static: [{ id: agent, policy: p }] }',
      'sessions.static[0]: nothing proves who it is',
    ],
    [
      'its listener names nobody',
      'listeners: [{ address: "127.0.0.1:1", session: agent }]',
      'listeners[0].session: there is no static session "agent"',
    ],
    [
      'two have one id',
      'sessions: { static: [{ id: a, policy: p, sources: [10.0.0.0/8] }, { id: a, policy: p, sources: [11.0.0.0/8] }] }',
      'sessions.static[1].id: is the id of sessions.static[0] too',
    ],
    [
      'a source has no prefix',
      'sessions: { static: [{ id: a, policy: p, sources: [10.0.0.1] }] }',
      'sessions.static[0].sources[0]: "10.0.0.1" is not a block',
    ],
    [
      'it looks like one of ours',
      'sessions: { static: [{ id: s-abcdefghijkl, policy: p, sources: [10.0.0.0/8] }] }',
      'sessions.static[0].id: looks like an id',
    ],
  ])('is refused where %s', async (_, line, expected) => {
    const found = await problems({ text: `version: 1\n${line}\n` })
    expect(found.join('\n')).toContain(expected)
  })
})

describe('control', () => {
  it.each([
    ['the address of a listener', 'control: { address: "127.0.0.1:3128" }', 'is the same as control.address'],
    [
      'two tokens of one name',
      'control: { tokens: [{ name: a, scopes: [read], secret: { env: A } }, { name: a, scopes: [read], secret: { env: B } }] }',
      'is the name of control.tokens[0] too',
    ],
    [
      'a secret written out',
      'control: { tokens: [{ name: a, scopes: [read], secret: abcdefgh }] }',
      'control.tokens[0].secret',
    ],
    [
      'a secret from nowhere',
      'control: { tokens: [{ name: a, scopes: [read], secret: {} }] }',
      'does not say where the secret comes from',
    ],
    [
      'an unknown scope',
      'control: { tokens: [{ name: a, scopes: [root], secret: { env: A } }] }',
      'write one of "admin"',
    ],
    [
      'an unknown ceiling',
      'control: { tokens: [{ name: a, scopes: [read], secret: { env: A }, ceiling: { hosts: [] } }] }',
      'unknown key "hosts"',
    ],
  ])('%s is refused', async (_, line, expected) => {
    const found = await problems({ text: `version: 1\n${line}\n` })
    expect(found.join('\n')).toContain(expected)
  })

  it('beyond loopback it is allowed and said', async () => {
    const { warnings } = await load({ text: 'version: 1\ncontrol: { address: "0.0.0.0:3180" }\n' })
    expect(warnings).toEqual([expect.stringContaining('without TLS')])
  })
})

describe('what others can write (decision 2)', () => {
  it('a file that everyone can write is not read', async () => {
    writeFileSync(join(folder, 'sallyport.yaml'), 'version: 1\n')
    chmodSync(join(folder, 'sallyport.yaml'), 0o666)
    expect(await problems()).toEqual([expect.stringContaining('can be written by everyone')])
  })

  it('nor is one in a folder where everyone can put another in its place', async () => {
    writeFileSync(join(folder, 'sallyport.yaml'), 'version: 1\n')
    chmodSync(folder, 0o777)
    expect(await problems()).toEqual([expect.stringContaining('can be written by everyone')])
    chmodSync(folder, 0o1777)
    expect(await problems()).toEqual([])
  })

  it.each(['stateDirectory', 'policies'])('%s is judged too, with the place where it was named', async (key) => {
    const open = join(folder, 'open')
    mkdirSync(open)
    chmodSync(open, 0o777)
    const [first = ''] = await problems({ text: `version: 1\n${key}: ./open/inner\n` })
    expect(first).toMatch(new RegExp(`^sallyport.yaml:2:1: ${key}: .*can be written by everyone; chmod o-w`))
  })
})

it('an additional CA is read at the start, and one that is not there is a problem', async () => {
  writeFileSync(join(folder, 'ca.pem'), 'PEM')
  expect((await load({ text: 'version: 1\nupstream: { extraCa: ca.pem }\n' })).config.upstream.extraCa).toBe('PEM')
  expect(await problems({ text: 'version: 1\nupstream: { extraCa: no.pem }\n' })).toEqual([
    expect.stringMatching(/^sallyport.yaml:2:13: upstream.extraCa: .*ENOENT/),
  ])
})

describe('upstream.proxy', () => {
  const proxyOf = (text: string, environment = {}) =>
    load({
      text: `version: 1\nupstream: { proxy: { ${text} } }\n`,
      environment: { HOME: '/home/dev', ...environment },
    })

  it('is an address, credentials from outside, and what is reached without it; loopback always is', async () => {
    const { config, warnings } = await proxyOf(
      'address: "https://proxy.corp.example", user: gate, secret: { env: SALLYPORT_PARENT }, except: ["**.corp.example", 10.0.0.0/8]',
      { SALLYPORT_PARENT: 'a password of ours' },
    )
    const { proxy } = config.upstream
    expect([proxy?.scheme, proxy?.authority.text, proxy?.connectBy]).toEqual([
      'https',
      'proxy.corp.example:443',
      'address',
    ])
    expect(proxy?.login).toMatchObject({ user: 'gate', secret: { variables: ['SALLYPORT_PARENT'] } })
    expect(proxy?.except.names.map(({ text }) => text)).toEqual(['**.corp.example'])
    expect(proxy?.except.blocks.map(({ text }) => text)).toEqual(['127.0.0.0/8', '::1/128', '10.0.0.0/8'])
    expect(warnings).toEqual([])
  })

  it('may be its address and nothing else', async () => {
    const { config } = await load({ text: 'version: 1\nupstream: { proxy: "http://proxy.corp.example" }\n' })
    expect(config.upstream.proxy?.authority.text).toBe('proxy.corp.example:80')
    expect(config.upstream.proxy?.login).toBe(null)
  })

  it('that is asked for names, or gets its password in the clear, is worth a word', async () => {
    const { config, warnings } = await proxyOf(
      'address: "http://10.1.2.3:3128/", connectBy: name, user: gate, secret: { file: /run/secrets/parent }',
    )
    expect(config.upstream.proxy?.authority.text).toBe('10.1.2.3:3128')
    expect(warnings).toEqual([
      expect.stringContaining('the parent resolves names again'),
      expect.stringContaining('without TLS'),
    ])
  })

  it.each([
    ['address: "http://gate:secret-word@proxy.corp.example:3128"', 'address: is no address of a proxy'],
    ['address: "socks5://proxy.corp.example:1080"', 'address: is no address of a proxy'],
    ['address: "http://proxy.corp.example:3128/path"', 'address: is no address of a proxy'],
    ['address: "http://127.1:3128"', 'address: is no address of a proxy'],
    ['address: "http://p.example:3128", user: "a:b", secret: { env: P }', 'user: is no user of Basic'],
    ['address: "http://p.example:3128", secret: { env: P }', 'user: is no user of Basic'],
    ['address: "http://p.example:3128", user: a', 'secret: does not say where the password comes from'],
    ['address: "http://p.example:3128", user: a, secret: { env: P, file: /p }', 'secret: does not say where'],
    ['address: "http://p.example:3128", user: a, secret: { file: p }', 'secret: does not say where'],
    ['address: "http://p.example:3128", except: ["*"]', 'except[0]: "*" is neither a host nor a block of addresses'],
    ['address: "http://p.example:3128", except: [10.0.0.1]', 'except[0]: "10.0.0.1" is neither'],
    ['address: "http://p.example:3128", connectBy: dns', 'connectBy: '],
    ['user: a, secret: { env: P }', '"address" is missing'],
  ])('%s: %s', async (text, complaint) => {
    const found = await problems({ text: `version: 1\nupstream: { proxy: { ${text} } }\n` })
    expect(found).toEqual([expect.stringContaining(complaint)])
    expect(found[0]).not.toContain('secret-word')
  })
})

describe('listeners', () => {
  const text = (listeners: string, session = '') =>
    `version: 1\nlisteners: [${listeners}]\nsessions: { static: [${session}] }\n`

  it('speak TLS with a certificate of our CA or of files, ask for certificates of clients, and believe balancers', async () => {
    const { config } = await load({
      text: text(
        '{ address: "0.0.0.0:3129", tls: { name: Proxy.corp.example, clientCa: ca.pem }, balancers: [10.0.0.0/24] }, { address: "127.0.0.1:3130", tls: { certificate: c.pem, key: /k.pem } }, { address: "192.0.2.1:3131", tls: {} }',
        '{ id: a, policy: npm, certificate: "spiffe://corp.example/a" }, { id: b, policy: npm, certificate: "CN=b" }',
      ),
    })
    const [minted, own, plain] = config.listeners
    expect(minted).toMatchObject({
      tls: { own: { name: { name: 'proxy.corp.example' } }, clientCa: join(folder, 'ca.pem') },
      balancers: [{ text: '10.0.0.0/24' }],
    })
    expect(own?.tls).toEqual({ own: { certificate: join(folder, 'c.pem'), key: '/k.pem' }, clientCa: null })
    expect(plain?.tls).toMatchObject({ own: { name: { name: '192.0.2.1' } } })
    expect(config.sessions.static.map(({ certificate }) => certificate)).toEqual(['spiffe://corp.example/a', 'CN=b'])
  })

  it.each([
    ['{ address: "0.0.0.0:1", tls: {} }', '', 'tls.name: nobody knows whom the certificate is for'],
    ['{ address: "0.0.0.0:1", tls: { name: "a b" } }', '', 'tls.name: nobody knows'],
    ['{ address: "127.0.0.1:1", tls: { key: k } }', '', 'tls: has one of certificate and key'],
    ['{ address: "127.0.0.1:1", tls: { key: k, certificate: c, name: a.test } }', '', 'tls.name: is for'],
    ['{ address: "unix:/s", tls: { name: a.test } }', '', 'tls: is for a port'],
    ['{ address: "unix:/s", balancers: [10.0.0.0/8] }', '', 'balancers: is for a port'],
    ['{ address: "127.0.0.1:1", balancers: [10.0.0.1] }', '', 'balancers[0]: "10.0.0.1" is no block'],
    ['{ address: "127.0.0.1:1", balancers: [0.0.0.0/0] }', '', 'balancers[0]: is everybody'],
    ['{ address: "127.0.0.1:1" }', '{ id: a, policy: npm, certificate: "CN=a" }', 'certificate: no listener asks'],
    ['{ address: "127.0.0.1:1", tls: { clientCa: c } }', '{ id: a, policy: npm, certificate: "a" }', 'certificate: '],
    ['{ address: "127.0.0.1:1" }', '{ id: a, policy: npm }', 'nothing proves who it is'],
  ])('%s %s: %s', async (listeners, session, complaint) => {
    expect(await problems({ text: text(listeners, session) })).toEqual([expect.stringContaining(complaint)])
  })
})
