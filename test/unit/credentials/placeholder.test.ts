import { describe, expect, test } from 'vitest'
import { makePlaceholder, parsePlaceholderShape } from '../../../src/credentials/placeholder.ts'

const key = Buffer.alloc(32, 1)

function made(like: string, session = 's-1', credential = 'a', from = key): string {
  const shape = parsePlaceholderShape(like)
  if (typeof shape === 'string') throw new Error(shape)
  return makePlaceholder(shape, from, session, credential)
}

describe('the shape', () => {
  const good: Readonly<Record<string, RegExp>> = {
    'sk-ant-api03-{95}AA': /^sk-ant-api03-[A-Za-z0-9]{95}AA$/,
    'ghp_{36}': /^ghp_[A-Za-z0-9]{36}$/,
    '{8}-{4}-{12}': /^[A-Za-z0-9]{8}-[A-Za-z0-9]{4}-[A-Za-z0-9]{12}$/,
    '{17}': /^[A-Za-z0-9]{17}$/,
  }
  for (const [like, shape] of Object.entries(good)) test(like, () => expect(made(like)).toMatch(shape))

  for (const like of [
    '',
    'sk',
    '{16}',
    '{0}',
    '{5}-{5}',
    '{20',
    '20}',
    '{}',
    '{x}{40}',
    '{40}\n',
    '{40} ',
    '{40}"',
    '{40}$x',
    '{9999}',
    'é{40}',
  ])
    test(`${JSON.stringify(like)} is none`, () => expect(parsePlaceholderShape(like)).toBeTypeOf('string'))
})

test('is the same for one session and credential, and another for every other', () => {
  const like = 'sk-{40}'
  expect(made(like)).toBe(made(like))
  const all = [made(like), made(like, 's-2'), made(like, 's-1', 'b'), made(like, 's-1', 'a', Buffer.alloc(32, 2))]
  expect(new Set(all).size).toBe(4)
  expect(made(like, 's","a', 'b')).not.toBe(made(like, 's', 'a","b'))
})

test('every letter is about as likely as the others', () => {
  const counts = new Map<string, number>()
  for (const letter of Array.from({ length: 62 }, (_, i) => made('{1000}', `s-${i}`)).join(''))
    counts.set(letter, (counts.get(letter) ?? 0) + 1)
  expect(counts.size).toBe(62)
  for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(200)
})
