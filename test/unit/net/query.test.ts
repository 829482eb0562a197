import { describe, expect, test } from 'vitest'
import { withoutParameters } from '../../../src/net/query.ts'

const isKey = (name: string): boolean => name === 'key'

describe('what is removed goes, and the rest keeps its bytes and its order', () => {
  const cases: Readonly<Record<string, string | null>> = {
    'a=1': 'a=1',
    '': '',
    '&&': '&&',
    'key=1': null,
    key: null,
    'key=1&a=%2f': 'a=%2f',
    'a=1&key=1&b=2': 'a=1&b=2',
    'a=1;key=1;b=2': 'a=1;b=2',
    'a=1&key=1': 'a=1',
    'key=1&key=2&a&key': 'a',
    '%6bey=1&k%65%79=2&a=1': 'a=1',
    'keys=1&akey=1': 'keys=1&akey=1',
    'a=key&b=%6bey': 'a=key&b=%6bey',
    '%6be%79=1&%zz=1': '%zz=1',
  }
  for (const [query, kept] of Object.entries(cases))
    test(JSON.stringify(query), () => expect(withoutParameters(query, isKey)).toBe(kept))
  test('no query', () => expect(withoutParameters(null, isKey)).toBeNull())
})
