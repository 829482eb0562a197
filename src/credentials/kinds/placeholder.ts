/**
 * The secret in place of the placeholder, wherever a client wrote that in the listed places, and nowhere else: for clients
 * that choose the place themselves. A request without the placeholder goes out without the secret.
 */

import { Type } from 'typebox'
import { type OutboundHead, withField, withQueryParameter } from '../../net/outbound-head.ts'
import type { FoundPlaceholder } from '../../policy/find-placeholders.ts'
import { type CredentialKind, kindKeys, parseKeys } from '../credential-kind.ts'
import { checkFieldName, FieldName } from '../field-name.ts'
import { ParameterName } from '../parameter-name.ts'
import type { Secret } from '../secret.ts'

const schema = kindKeys({
  in: Type.Array(
    Type.Union([
      kindKeys({ header: FieldName }),
      kindKeys({ basic: Type.Literal(true) }),
      kindKeys({ query: ParameterName }),
    ]),
    {
      minItems: 1,
      maxItems: 20,
      description: 'a list of { header: name }, { basic: true } or { query: name }',
    },
  ),
})

type Spec = {
  /** Lower case. */
  readonly headers: readonly string[]
  readonly basic: boolean
  readonly parameters: readonly string[]
}

export const placeholder: CredentialKind<Spec> = {
  kind: 'placeholder',
  schema,
  parse: (raw) => {
    const parsed = parseKeys(schema, raw, ({ in: places }) =>
      places.flatMap((place, index) => ('header' in place ? checkFieldName(['in', index], place.header) : [])),
    )
    if (parsed.kind === 'problems') return parsed
    const { in: places } = parsed.spec
    const headers = places.flatMap((place) => ('header' in place ? [place.header.toLowerCase()] : []))
    const parameters = places.flatMap((place) => ('query' in place ? [place.query] : []))
    return { kind: 'parsed', spec: { headers, basic: places.some((place) => 'basic' in place), parameters } }
  },
  owns: ({ headers, basic, parameters }) => ({
    fields: basic ? [...headers, 'authorization'] : headers,
    parameters,
  }),
  takes: ({ headers, basic, parameters }, { place, name, spelling }) => {
    // Text around it would go to the origin beside the secret.
    if (spelling === null || spelling.form === 'aws') return false
    if (place === 'parameter') return parameters.includes(name)
    const lower = name.toLowerCase()
    return (
      place === 'field' && (spelling.form === 'basic' ? basic && lower === 'authorization' : headers.includes(lower))
    )
  },
  apply: (head, _spec, secret, sent) => sent.reduce((before, one) => swap(before, one, secret), head),
}

function swap(head: OutboundHead, { place, name, placeholder: theirs, spelling }: FoundPlaceholder, secret: Secret) {
  if (spelling === null) return head
  const { scheme, text, form } = spelling
  const swapped = text.split(theirs).join(secret.reveal())
  const credentials = form === 'basic' ? Buffer.from(swapped, 'latin1').toString('base64') : swapped
  const value = scheme === null ? credentials : `${scheme} ${credentials}`
  return place === 'field' ? withField(head, name, value) : withQueryParameter(head, name, value)
}
