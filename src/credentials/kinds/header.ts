/** A field of its own: `x-api-key: <secret>`, or with `format: "token {}"` more around it. */

import { type Static, Type } from 'typebox'
import { withField } from '../../net/outbound-head.ts'
import { type CredentialKind, kindKeys, parseKeys } from '../credential-kind.ts'
import { checkFieldName, FieldName } from '../field-name.ts'
import { problem } from '../shape-problems.ts'

const schema = kindKeys({
  header: FieldName,
  format: Type.Optional(
    Type.String({
      pattern: '^[ -~]*$',
      maxLength: 1024,
      description: 'the value with {} where the secret goes, such as "token {}"',
    }),
  ),
})

export const header: CredentialKind<Static<typeof schema>> = {
  kind: 'header',
  schema,
  parse: (raw) =>
    parseKeys(schema, raw, (spec) => {
      const problems = checkFieldName(['header'], spec.header)
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
