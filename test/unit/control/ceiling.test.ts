import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Ceiling, decideCeiling, decideLabels, isVisible, type SessionUse } from '../../../src/control/ceiling.ts'
import { type Cidr, parseCidr } from '../../../src/net/ip.ts'

const block = (text: string): Cidr => {
  const parsed = parseCidr(text)
  if (parsed === null) throw new Error(text)
  return parsed
}

const nothing: Ceiling = {
  policies: new Set(),
  credentials: new Set(),
  addresses: [],
  sources: [],
  modes: new Set(),
  extends: new Set(),
}
const wide: Ceiling = {
  policies: new Set(['dev', 'inline']),
  credentials: new Set(['anthropic']),
  addresses: [block('10.0.0.0/8'), block('fd00::/8')],
  sources: [block('192.168.0.0/16')],
  modes: new Set(['audit', 'enforce']),
  extends: new Set(['npm']),
}
const plain: SessionUse = { policy: 'dev', extends: [], credentials: [], addresses: [], sources: [], mode: 'enforce' }

describe('decideCeiling', () => {
  const cases: readonly (readonly [name: string, ceiling: Ceiling | null, use: Partial<SessionUse>, of: string[]])[] = [
    ['no ceiling allows all', null, { policy: null, credentials: ['x'], addresses: [block('0.0.0.0/0')] }, []],
    ['the empty ceiling allows nothing', nothing, {}, ['policies', 'modes']],
    ['a listed policy', wide, {}, []],
    ['a policy named like a list entry of another kind', wide, { policy: 'npm' }, ['policies']],
    ['an inline policy where inline is listed', wide, { policy: null, extends: ['npm', 'dev'] }, []],
    ['an inline policy where it is not', { ...wide, policies: new Set(['dev']) }, { policy: null }, ['policies']],
    ['what a named policy extends', wide, { extends: ['anything'] }, []],
    ['what an inline policy extends', wide, { policy: null, extends: ['pypi'] }, ['extends']],
    ['a block equal to the listed', wide, { addresses: [block('10.0.0.0/8')] }, []],
    ['a block inside the listed', wide, { addresses: [block('10.2.3.4/32'), block('fd12::/16')] }, []],
    ['a block around the listed', wide, { addresses: [block('8.0.0.0/6')] }, ['addresses']],
    [
      'a block around the listed with the same first address',
      wide,
      { addresses: [block('10.0.0.0/7')] },
      ['addresses'],
    ],
    ['a block beside the listed', wide, { addresses: [block('11.0.0.0/8')] }, ['addresses']],
    ['a block of the other family', wide, { addresses: [block('::/0')] }, ['addresses']],
    ['a mapped spelling of a listed block', wide, { addresses: [block('::ffff:10.0.0.0/104')] }, ['addresses']],
    ['sources are not addresses', wide, { sources: [block('10.0.0.0/16')] }, ['sources']],
    ['two breaches at once', wide, { credentials: ['a', 'b'] }, ['credentials', 'credentials']],
  ]
  it.each(cases)('%s', (_name, ceiling, use, of) => {
    expect(decideCeiling(ceiling, { ...plain, ...use }).map((breach) => breach.of)).toEqual(of)
  })

  it('allows less whenever less is listed', () => {
    const names = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'inline'))
    const blocks = fc.array(fc.constantFrom('10.0.0.0/8', '10.1.0.0/16', '10.1.1.0/24', '::/0').map(block))
    const ceilings = fc.record({
      policies: names.map((list) => new Set(list)),
      credentials: names.map((list) => new Set(list)),
      addresses: blocks,
      sources: blocks,
      modes: fc.uniqueArray(fc.constantFrom('audit' as const, 'enforce' as const)).map((list) => new Set(list)),
      extends: names.map((list) => new Set(list)),
    })
    const uses = fc.record({
      policy: fc.constantFrom('a', 'b', null),
      extends: names,
      credentials: names,
      addresses: blocks,
      sources: blocks,
      mode: fc.constantFrom('audit' as const, 'enforce' as const),
    })
    fc.assert(
      fc.property(
        ceilings,
        uses,
        fc.constantFrom(...(Object.keys(nothing) as (keyof Ceiling)[])),
        (ceiling, use, key) => {
          const before = decideCeiling(ceiling, use).length
          expect(decideCeiling({ ...ceiling, [key]: nothing[key] }, use).length).toBeGreaterThanOrEqual(before)
        },
      ),
      { numRuns: 200 },
    )
  })
})

describe('labels', () => {
  it('a token without labels sees everything', () => expect(isVisible({}, {})).toBe(true))
  it('every label must be there with its value', () => {
    expect(isVisible({ team: 'a', env: 'p' }, { team: 'a' })).toBe(false)
    expect(isVisible({ team: 'a' }, { team: 'b' })).toBe(false)
    expect(isVisible({ team: 'a' }, { team: 'a', run: '1' })).toBe(true)
  })
  it('what an object inherits is no label', () => expect(isVisible({ toString: '' }, {})).toBe(false))
  it('those of the token are forced', () => {
    expect(decideLabels({ team: 'a' }, { run: '1' })).toEqual({ labels: { run: '1', team: 'a' }, breaches: [] })
    expect(decideLabels({ team: 'a' }, { team: 'a' }).breaches).toEqual([])
    expect(decideLabels({ team: 'a' }, { team: 'b' }).breaches).toEqual([{ of: 'labels', asked: 'team=b' }])
  })
})
