import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadPolicyFiles, loadPolicyFolder, loadPresets, watchPolicies } from '../../../src/config/load-policies.ts'
import { type DomainPattern, parseDomainPattern } from '../../../src/policy/domain-pattern.ts'
import { type Issue, issueText, type PolicySource } from '../../../src/policy/parse-policy.ts'
import { PolicyBook } from '../../../src/policy/policy-book.ts'
import { runPolicyTests } from '../../../src/policy/policy-tests.ts'

const fixtures = new URL('../../fixtures/policies/', import.meta.url).pathname
const bad = await readdir(path.join(fixtures, 'bad'))

function pattern(text: string): DomainPattern {
  const parsed = parseDomainPattern(text)
  return typeof parsed === 'string' ? expect.fail(parsed) : parsed
}

const credentials = new Map([
  ['known', { hosts: [pattern('api.known.test')], unsafeWildcardHosts: false }],
  ['second', { hosts: [pattern('api.known.test')], unsafeWildcardHosts: false }],
  ['wide', { hosts: [pattern('*.wide.test')], unsafeWildcardHosts: false }],
])

async function presets(): Promise<readonly PolicySource[]> {
  const loaded = await loadPresets()
  return loaded.kind === 'issues' ? expect.fail(loaded.issues.map(issueText).join('\n')) : loaded.sources
}

/** What a file is told, by its parser or by the book. */
async function issuesOf(file: string): Promise<readonly Issue[]> {
  const loaded = await loadPolicyFiles([file])
  if (loaded.kind === 'issues') return loaded.issues
  return new PolicyBook({ presets: await presets(), credentials }).replace(loaded.sources)
}

describe('a bad policy file is told what is wrong, where, and what to write instead', () => {
  it.each(bad)('%s', async (name) => {
    const file = path.join(fixtures, 'bad', name)
    const text = await readFile(file, 'utf8')
    const expected = [...text.matchAll(/^# line (\d+): (.*)\n# {3}fix: (.*)$/gm)].map(([, line, says, fix]) => ({
      line: Number(line),
      says,
      fix,
    }))
    expect(expected.length).toBeGreaterThan(0)
    const found = await issuesOf(file)
    expect(
      found.map(({ line, path, message, fix }) => ({ line, says: path === '' ? message : `${path}: ${message}`, fix })),
    ).toEqual(expected)
    for (const one of found) expect(one.file).toBe(file)
  })
})

describe('a good policy file', () => {
  it('has every key there is, kept as values', async () => {
    const loaded = await loadPolicyFiles([path.join(fixtures, 'good/everything.yaml')])
    if (loaded.kind === 'issues') expect.fail(loaded.issues.map(issueText).join('\n'))
    const [source] = loaded.sources
    expect(source?.mode).toBe('audit')
    expect(source?.limits).toEqual({
      uploadBytes: 50 * 2 ** 20,
      downloadBytes: 2e9,
      requestsPerMinute: 600,
      concurrentConnections: 64,
      distinctHosts: 100,
      idleTimeoutMs: 600_000,
      tunnelDurationMs: 3_600_000,
      perHost: { uploadBytes: 5 * 2 ** 20, downloadBytes: 2e8, requestsPerMinute: 60 },
    })
    expect(source?.rules.map(({ id, action, host, tls }) => [id, action, host.text, tls])).toEqual([
      ['everything#1', 'allow', 'api.known.test', 'intercept'],
      ['everything#2', 'allow', 'xn--bcher-kva.test', 'tunnel'],
      ['everything#3', 'allow', '*', 'auto'],
      ['everything#4', 'deny', '**.github.io', 'auto'],
      ['everything#5', 'allow', '[2001:db8::1]', 'auto'],
    ])
  })

  it('that says nothing allows nothing', async () => {
    const loaded = await loadPolicyFiles([path.join(fixtures, 'good/nothing.yaml')])
    expect(loaded.kind === 'loaded' && loaded.sources[0]?.rules).toEqual([])
  })

  it('may be JSON', async () => {
    const loaded = await loadPolicyFiles([path.join(fixtures, 'good/as-json.json')])
    expect(loaded.kind === 'loaded' && loaded.sources[0]?.rules[0]?.host.text).toBe('good.test')
  })
})

describe('the shipped policies', () => {
  it('load without any credential, and meet their own expectations', async () => {
    const sources = await presets()
    const book = new PolicyBook({ presets: sources, credentials: new Map() })
    expect(book.replace([])).toEqual([])
    expect(book.list().map(({ name }) => name)).toEqual([
      'anthropic',
      'anthropic-contained',
      'coding-agent',
      'debian',
      'github-contained',
      'github-read',
      'npm',
      'openai',
      'openai-contained',
      'pypi',
    ])
    for (const policy of book.list()) {
      const tests = book.sourceOf(policy.name)?.tests ?? []
      expect(tests.length, policy.name).toBeGreaterThan(3)
      expect(runPolicyTests(policy, tests).filter(({ passed }) => !passed)).toEqual([])
    }
  })

  it('use the credentials anthropic, github and openai on exact hosts only', async () => {
    const rules = (await presets()).flatMap((source) => source.rules)
    const used = rules.filter(({ credential }) => credential !== null)
    expect(new Set(used.map(({ credential }) => credential))).toEqual(new Set(['anthropic', 'github', 'openai']))
    expect(new Set(used.map(({ host }) => host.kind))).toEqual(new Set(['exact']))
  })

  it('write only where they say why', async () => {
    const rules = (await presets()).flatMap((source) => source.rules)
    for (const rule of rules.filter(({ action }) => action === 'allow')) {
      expect(rule.methods, rule.id).not.toBeNull()
      const writes = [...(rule.methods ?? [])].filter((method) => method !== 'GET' && method !== 'HEAD')
      if (writes.length > 0) expect(rule.paths, rule.id).not.toBeNull()
    }
  })

  it('have models for tenants beside them, each of which does what it says, and sets fields where others allow', async () => {
    const dir = new URL('../../../policies/tenants/', import.meta.url)
    const files = (await readdir(dir)).filter((name) => name.endsWith('.yaml'))
    const loaded = await loadPolicyFiles(files.map((name) => new URL(name, dir).pathname))
    if (loaded.kind !== 'loaded') return expect.fail(JSON.stringify(loaded.issues))
    const names = ['acme-data.s3.eu-central-1.amazonaws.com', 'api.github.com', 'github.com']
    const credential = { hosts: names.map(pattern), unsafeWildcardHosts: false }
    const filled = new Map(['aws', 'github', 'github-git'].map((name) => [name, credential]))
    const book = new PolicyBook({ presets: await presets(), credentials: filled })
    expect(book.replace(loaded.sources)).toEqual([])
    for (const { name, tests } of loaded.sources) {
      const policy = book.list().find((one) => one.name === name)
      if (policy === undefined) return expect.fail(name)
      expect(tests.length, name).toBeGreaterThan(0)
      expect(runPolicyTests(policy, tests).filter(({ passed }) => !passed)).toEqual([])
    }
    const table = await readFile(new URL('README.md', dir), 'utf8')
    const rows = [...table.matchAll(/^\| `([a-z0-9-]+\.yaml)`/gm)].map(([, name]) => name)
    expect(new Set(rows)).toEqual(new Set(files))
  })

  it('are not loaded twice when their folder is given as the folder of policies', async () => {
    expect(await loadPolicyFolder(new URL('../../../policies', import.meta.url).pathname)).toEqual({
      kind: 'loaded',
      sources: [],
    })
  })
})

describe('a folder', () => {
  let dir: string
  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'policies-'))
  })
  afterEach(async () => {
    await rm(dir, { recursive: true })
  })
  const put = (name: string, text: string) => writeFile(path.join(dir, name), text)
  const policy = (name: string) => `version: 1\nname: ${name}\nrules:\n  - host: ${name}.test\n`

  it('gives its policies in the order of their names, and nothing else that lies in it', async () => {
    await put('b.yml', policy('b'))
    await put('a.yaml', policy('a'))
    await put('c.json', '{"version":1,"name":"c"}')
    await put('README.md', 'no policy')
    await put('.hidden.yaml', 'no policy')
    await put('d.yaml~', 'no policy')
    const loaded = await loadPolicyFolder(dir)
    expect(loaded.kind === 'loaded' && loaded.sources.map(({ name }) => name)).toEqual(['a', 'b', 'c'])
  })

  it('with problems in two files is told both, and gives nothing', async () => {
    await put('a.yaml', policy('a'))
    await put('b.yaml', 'version: 1\nname: b\nrules:\n  - host: "*.com"\n  - host: x y\n')
    await put('c.yaml', 'version: 3\n')
    const loaded = await loadPolicyFolder(dir)
    expect(loaded.kind === 'issues' && loaded.issues.map(({ file, line }) => [path.basename(file), line])).toEqual([
      ['b.yaml', 4],
      ['b.yaml', 5],
      ['c.yaml', 1],
      ['c.yaml', 1],
    ])
  })

  it.each([
    ['is not there', async () => rm(path.join(dir, 'a.yaml'))],
    ['is not UTF-8', async () => writeFile(path.join(dir, 'a.yaml'), Buffer.from([0x76, 0xff, 0xfe]))],
    ['is longer than it may be', async () => truncate(path.join(dir, 'a.yaml'), 17 * 2 ** 20)],
    [
      'is a folder',
      async () => {
        await rm(path.join(dir, 'a.yaml'))
        await mkdir(path.join(dir, 'a.yaml'))
      },
    ],
    ['can be written by everyone', async () => chmod(path.join(dir, 'a.yaml'), 0o666)],
  ])('is refused when a file %s', async (_, spoil) => {
    await put('a.yaml', policy('a'))
    await spoil()
    expect((await loadPolicyFiles([path.join(dir, 'a.yaml')])).kind).toBe('issues')
  }) // prettier-ignore

  it('that everyone can write is refused, and so is one that is not there', async () => {
    await put('a.yaml', policy('a'))
    await chmod(dir, 0o777)
    const loaded = await loadPolicyFolder(dir)
    expect(loaded.kind === 'issues' && loaded.issues[0]?.message).toBe('can be written by everyone')
    await chmod(dir, 0o700)
    expect((await loadPolicyFolder(path.join(dir, 'none'))).kind).toBe('issues')
  })

  describe('that is watched', () => {
    const times = { stableMs: 100, rescanMs: 60_000 }
    const watchFor = async (change: () => Promise<void>, isQuiet = false): Promise<number> => {
      const told: number[] = []
      const watch = watchPolicies(dir, () => told.push(Date.now()), times)
      const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
      await pause(300)
      expect(told).toEqual([])
      await change()
      // Longer where the machine is busy and the first call is late; then long enough for a second that should not come.
      for (let i = 0; i < (isQuiet ? 3 : 50) && told.length === 0; i++) await pause(100)
      await pause(300)
      watch.close()
      return told.length
    }

    it('tells once of a file that is written in pieces', async () => {
      await put('a.yaml', policy('a'))
      const told = await watchFor(async () => {
        for (let i = 0; i < 8; i++) {
          await put('a.yaml', policy('a') + '#'.repeat(i + 1))
          await new Promise((resolve) => setTimeout(resolve, 10))
        }
      })
      expect(told).toBe(1)
    })

    it('tells of a file that is replaced, and of one that is gone', async () => {
      await put('a.yaml', policy('a'))
      expect(
        await watchFor(async () => {
          await put('.a.tmp', policy('b'))
          await rename(path.join(dir, '.a.tmp'), path.join(dir, 'a.yaml'))
        }),
      ).toBe(1)
      expect(await watchFor(() => rm(path.join(dir, 'a.yaml')))).toBe(1)
    }) // prettier-ignore

    it('tells of a swap of ..data, as Kubernetes does it', async () => {
      await mkdir(path.join(dir, '..1'))
      await mkdir(path.join(dir, '..2'))
      await put('..1/a.yaml', policy('a'))
      await put('..2/a.yaml', policy('b'))
      await symlink('..1', path.join(dir, '..data'))
      await symlink('..data/a.yaml', path.join(dir, 'a.yaml'))
      const told = await watchFor(async () => {
        await symlink('..2', path.join(dir, '..tmp'))
        await rename(path.join(dir, '..tmp'), path.join(dir, '..data'))
      })
      expect(told).toBe(1)
      const loaded = await loadPolicyFolder(dir)
      expect(loaded.kind === 'loaded' && loaded.sources[0]?.name).toBe('b')
    })

    it('says nothing where nothing changed', async () => {
      await put('a.yaml', policy('a'))
      expect(await watchFor(async () => {}, true)).toBe(0)
    })
  })
})
