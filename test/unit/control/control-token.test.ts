import { Value } from 'typebox/value'
import { describe, expect, it } from 'vitest'
import { identifyToken } from '../../../src/control/auth.ts'
import { ControlTokenSpec, parseControlToken } from '../../../src/control/control-token.ts'
import { secretOf, tokenOf } from './fixture.ts'

const secret = 'x'.repeat(16)
const spec: ControlTokenSpec = { name: 't', scopes: ['sessions'], secret: { env: 'T' } }

describe('ControlTokenSpec', () => {
  const cases: readonly (readonly [name: string, changes: object, fits: boolean])[] = [
    ['the least', {}, true],
    ['a file', { secret: { file: '/run/secrets/t' } }, true],
    ['all of it', { labels: { team: 'a' }, ceiling: { policies: ['p'], addresses: [], modes: ['enforce'] } }, true],
    ['a secret in the open', { secret: 'hunter2' }, false],
    ['two sources', { secret: { env: 'A', file: 'b' } }, false],
    ['no scope', { scopes: [] }, false],
    ['an unknown scope', { scopes: ['root'] }, false],
    ['an unknown list in the ceiling', { ceiling: { hosts: [] } }, false],
    ['an unknown mode', { ceiling: { modes: ['off'] } }, false],
    ['a label of another kind', { labels: { team: 1 } }, false],
  ]
  it.each(cases)('%s', (_name, changes, fits) => {
    expect(Value.Check(ControlTokenSpec, { ...spec, ...changes })).toBe(fits)
  })
})

describe('parseControlToken', () => {
  it('names every problem at once', () => {
    const ceiling = { addresses: ['10.0.0.1', '10.0.0.0/8'], sources: ['10.0.0.1/8'] }
    const issues = parseControlToken({ ...spec, ceiling }, 'short')
    expect(Array.isArray(issues) ? issues.map(({ path }) => path) : issues).toEqual([
      '/ceiling/addresses/0',
      '/ceiling/sources/0',
      '/secret',
    ])
  })

  it.each(['', 'short', 'with a space in it', 'with\nline-break-in-it', 'ünïcödë-ünïcödë-ü'])(
    'refuses the secret %j',
    (weak) => expect(Array.isArray(parseControlToken(spec, weak))).toBe(true),
  )

  const ceilings: readonly (readonly [name: string, changes: Partial<ControlTokenSpec>, bounded: boolean])[] = [
    ['admin without one has none', { scopes: ['admin'] }, false],
    ['admin with one has it', { scopes: ['admin'], ceiling: {} }, true],
    ['sessions without one has the empty one', { scopes: ['sessions', 'read'] }, true],
    ['sessions and admin without one has none', { scopes: ['sessions', 'admin'] }, false],
    ['read without one has none', { scopes: ['read'] }, false],
    ['read with labels has the empty one', { scopes: ['read'], labels: { team: 'a' } }, true],
    ['admin with labels has none', { scopes: ['admin'], labels: { team: 'a' } }, false],
  ]
  it.each(ceilings)('a token with %s', (_name, changes, bounded) => {
    const token = parseControlToken({ ...spec, ...changes }, secret)
    expect(!Array.isArray(token) && token.ceiling !== null).toBe(bounded)
  })

  it('keeps no secret', () => {
    expect(JSON.stringify(parseControlToken(spec, 'a-secret-nobody-sees'))).not.toContain('a-secret')
  })
})

describe('identifyToken', () => {
  const tokens = [tokenOf({ name: 'one' }), tokenOf({ name: 'two' })]
  it('finds each of them, whatever its place', () => {
    for (const name of ['one', 'two']) {
      expect(identifyToken(tokens, ['AUTHORIZATION', `Bearer ${secretOf(name)}`])?.name).toBe(name)
    }
  })
  it.each([
    [[]],
    [['authorization', 'Bearer ']],
    [['authorization', `Bearer ${secretOf('three')}`]],
    [['authorization', `Bearer ${secretOf('one')}`, 'Authorization', `Bearer ${secretOf('one')}`]],
    [['x', 'authorization', `Bearer ${secretOf('one')}`, 'x']],
  ])('finds none in %j', (fields) => expect(identifyToken(tokens, fields)).toBeNull())
  it('finds none where none is configured', () => {
    expect(identifyToken([], ['authorization', `Bearer ${secretOf('one')}`])).toBeNull()
  })
})
