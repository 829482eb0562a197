/** `sallyport policy …`, in process. */

import { describe, expect, test } from 'vitest'
import { directoryWith, say } from './fake-world.ts'

const good = `version: 1
name: dev
extends: [npm]
rules:
  - host: api.example.org
    methods: [POST]
    credential: example
tests:
  - { allow: "POST https://api.example.org/v1" }
  - { deny: "GET https://api.example.org/v1", because: method_not_allowed }
`
const bad = `version: 1
name: bad
rules:
  - host: "*.com"
  - hots: example.org
`
const failing = `version: 1
name: failing
rules:
  - host: api.example.org
tests:
  - { deny: "GET https://api.example.org/" }
`

describe('policy check', () => {
  test('a good file is fine, and the credentials it assumes are named', async () => {
    const cwd = directoryWith({ 'dev.yaml': good })
    const { code, out, err } = await say(['policy', 'check', 'dev.yaml'], { cwd })
    expect([code, out]).toEqual([0, '1 file: no problems\n'])
    expect(err).toContain('example')
  })

  test('all problems of all files come at once, with their places and fixes', async () => {
    const cwd = directoryWith({ 'dev.yaml': good, 'bad.yaml': bad })
    const { code, out } = await say(['policy', 'check', 'dev.yaml', 'bad.yaml'], { cwd })
    expect(code).toBe(1)
    expect(out).toMatch(/^bad\.yaml:4:\d+: rules\[0\]\.host: .*; .*$/m)
    expect(out).toMatch(/^bad\.yaml:5:\d+: rules\[1\].*did you mean/m)
  })

  test('a file that is not there is a problem of that file', async () => {
    const { code, out } = await say(['policy', 'check', 'none.yaml'], { cwd: directoryWith({}) })
    expect(code).toBe(1)
    expect(out).toContain('none.yaml: cannot be read: ENOENT')
  })

  test('the same file twice is one policy', async () => {
    const cwd = directoryWith({ 'dev.yaml': good })
    expect((await say(['policy', 'check', 'dev.yaml', './dev.yaml'], { cwd })).code).toBe(0)
  })

  test('problems as JSON keep their places', async () => {
    const cwd = directoryWith({ 'bad.yaml': bad })
    const { code, out } = await say(['policy', 'check', '--json', 'bad.yaml'], { cwd })
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({
      files: 1,
      issues: [{ file: 'bad.yaml', line: 4, path: 'rules[0].host' }, {}, {}],
    })
  })
})

describe('policy explain', () => {
  test('a shipped policy is found by name; allowed exits 0', async () => {
    const { code, out } = await say(['policy', 'explain', '--policy', 'npm', 'https://any.npmjs.org/left-pad'])
    expect(code).toBe(0)
    expect(out).toMatch(/^allowed.*\nrule +npm#1/)
  })

  test('denied exits 3 and says which rules came near', async () => {
    const line = ['policy', 'explain', '--policy', 'npm', '--method', 'put', 'https://any.npmjs.org/left-pad']
    const { code, out } = await say(line)
    expect(code).toBe(3)
    expect(out).toContain('method_not_allowed')
    expect(out).toMatch(/npm#2 .*method PUT is not one of POST/)
  })

  test('a policy file is explained with all it extends', async () => {
    const cwd = directoryWith({ 'dev.yaml': good })
    const url = 'https://any.npmjs.org/left-pad'
    const { code, out } = await say(['policy', 'explain', '--policy', './dev.yaml', '--json', url], { cwd })
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ policy: 'dev', verdict: 'allow', rule: 'npm#1' })
  })

  test('audit mode lets through what would be denied, and says so', async () => {
    const line = ['policy', 'explain', '--policy', 'npm', '--mode', 'audit', 'https://example.org/']
    const { code, out } = await say(line)
    expect([code, out.startsWith('let through by audit mode')]).toEqual([0, true])
  })

  test.each([
    ['an unknown policy', ['--policy', 'nmp', 'https://example.org/'], /no policy "nmp"; there are: .*npm/],
    ['no URL', ['--policy', 'npm', 'example.org'], /"example.org" is not a method and a URL; write https/],
    ['no policy', ['https://example.org/'], /--policy/],
    ['an unknown mode', ['--policy', 'npm', '--mode', 'off', 'https://example.org/'], /enforce, audit/],
  ])('%s is wrong usage', async (_name, rest, message) => {
    const { code, out, err } = await say(['policy', 'explain', ...rest])
    expect([code, out]).toEqual([2, ''])
    expect(err).toMatch(message)
    expect(err.trim().split('\n')).toHaveLength(1)
  })
})

describe('policy test', () => {
  test('expectations that are met exit 0', async () => {
    const cwd = directoryWith({ 'dev.yaml': good })
    const { code, out } = await say(['policy', 'test', 'dev.yaml'], { cwd })
    expect(code).toBe(0)
    expect(out).toContain('2 expectations, 0 not met')
  })

  test('one that is not met exits 1 and says what was expected', async () => {
    const cwd = directoryWith({ 'failing.yaml': failing })
    const { code, out } = await say(['policy', 'test', 'failing.yaml'], { cwd })
    expect(code).toBe(1)
    expect(out).toMatch(/FAIL +GET https:\/\/api\.example\.org\/ +allow by failing#1; expected deny/)
  })
})

test('the shipped policies are listed with what they are for', async () => {
  const { code, out } = await say(['policy', 'presets', '--json'])
  expect(code).toBe(0)
  expect(JSON.parse(out)).toContainEqual(expect.objectContaining({ name: 'coding-agent' }))
})
