/** Every credential kind. A new one is a file beside this and a line here. */

import { type AnyCredentialKind, sealKind } from '../credential-kind.ts'
import { awsSigv4 } from './aws-sigv4.ts'
import { basic } from './basic.ts'
import { bearer } from './bearer.ts'
import { gcpServiceAccount } from './gcp-service-account.ts'
import { githubApp } from './github-app.ts'
import { header } from './header.ts'
import { mtls } from './mtls.ts'
import { oauth2ClientCredentials } from './oauth2-client-credentials.ts'
import { oauth2Refresh } from './oauth2-refresh.ts'
import { placeholder } from './placeholder.ts'
import { query } from './query.ts'

export const credentialKinds: readonly AnyCredentialKind[] = [
  sealKind(awsSigv4),
  sealKind(basic),
  sealKind(bearer),
  sealKind(gcpServiceAccount),
  sealKind(githubApp),
  sealKind(header),
  sealKind(mtls),
  sealKind(oauth2ClientCredentials),
  sealKind(oauth2Refresh),
  sealKind(placeholder),
  sealKind(query),
]
