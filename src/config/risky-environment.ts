/**
 * Variables that change how Node itself treats TLS, HTTP or secrets: a gateway does not start with them (decision 27).
 *
 * Promises: what is not known to be harmless in NODE_OPTIONS is refused; every one is listed, with the reason.
 */

import type { Issue } from '../policy/issue.ts'
import type { Environment } from './overrides.ts'

/** Each with what it would do to a gateway. */
const refused: Readonly<Record<string, string>> = {
  NODE_DEBUG: 'prints heads and keys of connections to standard error',
  NODE_DEBUG_NATIVE: 'prints the contents of connections to standard error',
  NODE_TLS_REJECT_UNAUTHORIZED: 'can switch off the verification of certificates',
  OPENSSL_CONF: 'can weaken TLS for the whole process',
  OPENSSL_CONF_INCLUDE: 'can weaken TLS for the whole process',
  OPENSSL_ENGINES: 'loads code into the process that holds the secrets',
  OPENSSL_MODULES: 'loads code into the process that holds the secrets',
}

/** Flags that size, report or describe; none that loads code, opens a port, or touches TLS, HTTP or DNS. */
const harmless: ReadonlySet<string> = new Set([
  '--abort-on-uncaught-exception',
  '--disable-warning',
  '--enable-source-maps',
  '--max-old-space-size',
  '--max-old-space-size-percentage',
  '--max-semi-space-size',
  '--no-deprecation',
  '--no-warnings',
  '--stack-trace-limit',
  '--trace-deprecation',
  '--trace-warnings',
  '--v8-pool-size',
])

export function riskyEnvironment(environment: Environment): Issue[] {
  const issues: Issue[] = []
  for (const [name, why] of Object.entries(refused)) {
    const value = environment[name]
    if (value !== undefined && value !== '') issues.push(issue(name, why, `unset ${name} for the gateway`))
  }
  for (const word of (environment['NODE_OPTIONS'] ?? '').split(/\s+/)) {
    const flag = (word.split('=')[0] ?? '').replaceAll('_', '-')
    if (flag === '' || harmless.has(flag)) continue
    issues.push(
      issue(
        'NODE_OPTIONS',
        `holds ${JSON.stringify(flag)}, which a gateway does not run with`,
        'take it out, or unset it',
      ),
    )
  }
  return issues
}

function issue(file: string, message: string, fix: string): Issue {
  return { file, line: 0, column: 0, path: '', message, fix }
}
