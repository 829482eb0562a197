import { execFileSync } from 'node:child_process'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { environmentText } from '../../../src/cli/environment-text.ts'

const awkward = [
  '',
  ' ',
  "it's",
  '"',
  '$(touch x)',
  '`id`',
  '\\',
  '!',
  '~',
  '*',
  '#',
  'a b',
  '-n',
  'ü',
  "'''",
  ';true',
  '&',
]

function textOf(environment: Record<string, string>, format: Parameters<typeof environmentText>[1]): string {
  const spelled = environmentText(environment, format)
  if (typeof spelled === 'string') throw new Error(spelled)
  return spelled.text
}

describe('an environment as text', () => {
  test('a shell that evaluates the lines has exactly the values', () => {
    const unit = fc.nat(0x2fff).map((code) => String.fromCharCode(code))
    const random = fc.sample(fc.string({ unit, maxLength: 16 }), { numRuns: 60, seed: 7 })
    const values = [...awkward, ...random.map((value) => value.replaceAll(/[\0\r\n]/g, ''))]
    const environment = Object.fromEntries(values.map((value, index) => [`V${index}`, value]))
    const names = Object.keys(environment).map((name) => `"$${name}"`)
    const script = `${textOf(environment, 'shell')}printf '%s\\n' ${names.join(' ')}\n`
    const out = execFileSync('sh', ['-c', script], { env: {}, encoding: 'utf8' })
    expect(out.split('\n').slice(0, -1)).toEqual(values)
  })

  test.each([
    ['shell', `export A='b c'\n`],
    ['dotenv', `A='b c'\n`],
    ['docker', 'A=b c\n'],
    ['json', '{\n  "A": "b c"\n}\n'],
  ] as const)('%s spells a value with a space', (format, expected) => {
    expect(textOf({ A: 'b c' }, format)).toBe(expected)
  })

  test.each(['shell', 'dotenv', 'docker'] as const)('%s refuses a value with a line break', (format) => {
    expect(environmentText({ A: 'b\nc' }, format)).toMatch(/A has a line break/)
  })

  test('a name that is none is refused', () => {
    expect(environmentText({ 'A;id': 'b' }, 'shell')).toMatch(/no name of a variable/)
  })
})
