/**
 * Whether a browser was made to send a request by a page of another site. Pure.
 *
 * Promises: clients that are no browsers send neither field and are not concerned; what a browser might say one day that
 * we do not know counts as another site.
 */

import { hostField } from '../net/authority.ts'
import { FieldMemo } from '../net/field-memo.ts'
import { fieldValues } from '../net/fields.ts'
import type { RequestHead } from '../net/request-head.ts'

const signs = new FieldMemo((fields) => ({
  sites: fieldValues(fields, 'sec-fetch-site'),
  origins: fieldValues(fields, 'origin'),
}))

/** The field that says so; null: none does. */
export function findCrossSite({ fields, authority, scheme }: RequestHead): string | null {
  const { sites, origins } = signs.of(fields)
  // `none` is a person at the address bar (Fetch Metadata §2.3). Another host of the same site is another host.
  if (sites.some((site) => site !== 'same-origin' && site !== 'none')) return 'field sec-fetch-site'
  if (origins.length === 0) return null
  const own = `${scheme}://${hostField(authority, scheme)}`
  return origins.some((origin) => origin !== own) ? 'field origin' : null
}
