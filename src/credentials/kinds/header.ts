/** A field of its own: `x-api-key: <secret>`, or with `format: "token {}"` more around it. */

import { type Static, Type } from 'typebox'
import { isHopByHop } from '../../net/fields.ts'
import { withField } from '../../net/outbound-head.ts'
import { type CredentialKind, kindKeys, parseKeys } from '../credential-kind.ts'
import { problem } from '../shape-problems.ts'

const schema = kindKeys({
  header: Type.String({
    pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$",
    description: 'the name of a header field',
  }),
  format: Type.Optional(
    Type.String({
      pattern: '^[ -~]*$',
      maxLength: 1024,
      description: 'the value with {} where the secret goes, such as "token {}"',
    }),
  ),
})

/** Fields that frame, route or describe a message: a secret there would change what is sent, or to whom. */
const notOurs = /^(?:content-.*|date|expect|forwarded|host|range|if-.*|accept.*|via|x-forwarded-.*|x-egress-.*)$/

export const header: CredentialKind<Static<typeof schema>> = {
  kind: 'header',
  schema,
  parse: (raw) =>
    parseKeys(schema, raw, (spec) => {
      const problems = []
      const lower = spec.header.toLowerCase()
      if (isHopByHop(lower) || notOurs.test(lower))
        problems.push(
          problem(['header'], `"${lower}" is not a field for a credential`, 'name the one the origin asks for'),
        )
      if (spec.format !== undefined && spec.format.split('{}').length !== 2)
        problems.push(problem(['format'], 'must have {} exactly once', 'write it such as "token {}"'))
      return problems
    }),
  owns: (spec) => ({ fields: [spec.header], parameters: [] }),
  apply: (head, { header: name, format = '{}' }, secret) => {
    // Split, not replaced: `$&` in a secret is text, not a pattern.
    const [before = '', after = ''] = format.split('{}')
    return withField(head, name, `${before}${secret.reveal()}${after}`)
  },
}
