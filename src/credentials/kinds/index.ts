/** Every credential kind. A new one is a file beside this and a line here. */

import { type AnyCredentialKind, sealKind } from '../credential-kind.ts'
import { awsSigv4 } from './aws-sigv4.ts'
import { basic } from './basic.ts'
import { bearer } from './bearer.ts'
import { header } from './header.ts'
import { placeholder } from './placeholder.ts'
import { query } from './query.ts'

export const credentialKinds: readonly AnyCredentialKind[] = [
  sealKind(awsSigv4),
  sealKind(basic),
  sealKind(bearer),
  sealKind(header),
  sealKind(placeholder),
  sealKind(query),
]
