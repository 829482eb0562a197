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

const MemberName = Type.String({
  minLength: 1,
  maxLength: 128,
  description: 'the name of a field at the top of a JSON body',
})

const schema = kindKeys({
  in: Type.Array(
    Type.Union([
      kindKeys({ header: FieldName }),
      kindKeys({ basic: Type.Literal(true) }),
      kindKeys({ query: ParameterName }),
      kindKeys({ json: MemberName }),
    ]),
    {
      minItems: 1,
      maxItems: 20,
      description: 'a list of { header: name }, { basic: true }, { query: name } or { json: field }',
    },
  ),
})

type Spec = {
  /** Lower case. */
  readonly headers: readonly string[]
  readonly basic: boolean
  readonly parameters: readonly string[]
  /** Of the object that a JSON body is. */
  readonly members: readonly string[]
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
    const members = places.flatMap((place) => ('json' in place ? [place.json] : []))
    return { kind: 'parsed', spec: { headers, basic: places.some((place) => 'basic' in place), parameters, members } }
  },
  owns: ({ headers, basic, parameters }) => ({
    fields: basic ? [...headers, 'authorization'] : headers,
    parameters,
  }),
  takes: ({ headers, basic, parameters }, { place, name, spelling }) => {
    // Text around it would go to the origin beside the secret.
    if (spelling === null || spelling.form === 'aws' || spelling.form === 'jwt') return false
    if (place === 'parameter') return parameters.includes(name)
    const lower = name.toLowerCase()
    return (
      place === 'field' && (spelling.form === 'basic' ? basic && lower === 'authorization' : headers.includes(lower))
    )
  },
  // Alone, as text: among other text it would be a part of something else.
  swapsInBody: ({ members }, { json, kind }, theirs) =>
    members.length === 0 || kind !== 'json' || json?.kind !== 'object'
      ? []
      : json.members.flatMap(({ name, value }) =>
          members.includes(name) && value.kind === 'string' && value.text === theirs
            ? [{ start: value.start, end: value.end, of: (secret: string) => JSON.stringify(secret) }]
            : [],
        ),
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
