import { expect, test } from 'vitest'
import { findCrossSite } from '../../../src/credentials/cross-site.ts'
import { authorityNamed, requestHead } from '../../conformance/credential-walk.ts'

test.each<readonly [fields: readonly string[], found: string | null]>([
  [[], null],
  [['Sec-Fetch-Mode', 'cors', 'User-Agent', 'node'], null],
  [['Sec-Fetch-Site', 'none'], null],
  [['Sec-Fetch-Site', 'same-origin', 'Origin', 'https://api.good.test'], null],
  [['Sec-Fetch-Site', 'cross-site'], 'field sec-fetch-site'],
  [['sec-fetch-site', 'same-site'], 'field sec-fetch-site'],
  [['Sec-Fetch-Site', 'some-day'], 'field sec-fetch-site'],
  [['Sec-Fetch-Site', 'none', 'Sec-Fetch-Site', 'cross-site'], 'field sec-fetch-site'],
  [['Origin', 'https://evil.test'], 'field origin'],
  [['Origin', 'null'], 'field origin'],
  [['Origin', ''], 'field origin'],
  [['Origin', 'http://api.good.test'], 'field origin'],
  [['Origin', 'https://api.good.test:8443'], 'field origin'],
  [['Origin', 'https://api.good.test.evil.test'], 'field origin'],
  [['Origin', 'https://api.good.test', 'Origin', 'https://evil.test'], 'field origin'],
])('%j', (fields, found) => {
  expect(findCrossSite(requestHead(fields, ''))).toBe(found)
})

test('the origin of another port is another one', () => {
  const at = authorityNamed('api.good.test', 8443)
  const head = (origin: string) => requestHead(['Host', at.text, 'Origin', origin], '', at)
  expect(findCrossSite(head('https://api.good.test:8443'))).toBeNull()
  expect(findCrossSite(head('https://api.good.test'))).toBe('field origin')
})
