import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { pageAfter } from '../../../src/control/session-view.ts'
import { bookSession, type BookedSession } from '../../../src/sessions/booked-session.ts'
import { stored } from '../../conformance/stored-session.ts'
import { defaultLimits } from '../sessions/limits.ts'

const sessionOf = ([createdAt, id]: readonly [number, string]): BookedSession =>
  bookSession({ ...stored, id, createdAt }, null, 'store', {
    limits: defaultLimits,
    ledger: { keeping: 'written', soon: () => undefined, now: () => undefined },
  })

it('pages show every session once, in order, whatever order they are kept in and however long a page is', () => {
  const made = fc.uniqueArray(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.stringMatching(/^[0-9a-f]{1,2}$/)), {
    selector: ([, id]) => id,
    maxLength: 30,
  })
  fc.assert(
    fc.property(made, fc.integer({ min: 1, max: 7 }), (pairs, limit) => {
      const sessions = pairs.map(sessionOf)
      const isSeen = ({ id }: BookedSession): boolean => !id.startsWith('0')
      const told: string[] = []
      let page = pageAfter(sessions, isSeen, null, limit)
      while (page.length > 0) {
        expect(page.length).toBeLessThanOrEqual(limit)
        told.push(...page.map(({ id }) => id))
        const last = page.at(-1)
        page =
          last === undefined
            ? []
            : pageAfter(sessions, isSeen, { createdAt: last.current.createdAt, id: last.id }, limit)
      }
      const expected = pairs
        .filter(([, id]) => !id.startsWith('0'))
        .toSorted(([a, x], [b, y]) => a - b || (x < y ? -1 : 1))
      expect(told).toEqual(expected.map(([, id]) => id))
    }),
  )
})
