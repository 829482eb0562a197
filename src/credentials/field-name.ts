/** Names of header fields that a credential may be written to. Pure. */

import { Type } from 'typebox'
import { isHopByHop } from '../net/fields.ts'
import { type Problem, problem } from './shape-problems.ts'

export const FieldName = Type.String({
  pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$",
  description: 'the name of a header field',
})

/** Fields that frame, route or describe a message: a secret there would change what is sent, or to whom. */
const notOurs =
  /^(?:content-.*|date|expect|forwarded|host|range|if-.*|accept.*|via|x-forwarded-.*|x-real-ip|x-egress-.*)$/

export function checkFieldName(path: Problem['path'], name: string): Problem[] {
  const lower = name.toLowerCase()
  if (!isHopByHop(lower) && !notOurs.test(lower)) return []
  return [problem(path, `"${lower}" is not a field for a credential`, 'name the one the origin asks for')]
}
