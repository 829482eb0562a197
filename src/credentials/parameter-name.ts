/** Names of query parameters that a credential may be written to. */

import { Type } from 'typebox'

export const ParameterName = Type.String({
  pattern: '^[A-Za-z0-9._~-]{1,128}$',
  description: 'the name of a query parameter',
})
