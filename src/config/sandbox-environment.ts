/**
 * The environment of a sandbox: one table makes all of it.
 *
 * Promises: variables that *add* a root get our CA alone, variables that *replace* the store get the system's roots and
 * ours (mixing them up breaks either us or everything else). No secret is in it; the proxy URL holds the session's own token.
 */

import type { PublicFiles } from '../tls/public-files.ts'
import { trustStorePassword } from '../tls/trust-store.ts'

type Value =
  | 'bundle'
  | 'ca'
  | 'noProxy'
  | 'proxy'
  | 'proxyHost'
  | 'proxyPassword'
  | 'proxyPort'
  | 'proxyUser'
  | { readonly fixed: string }

/** Who reads it stands behind each; sources are the clients' own manuals. */
export const environmentTable: readonly (readonly [name: string, value: Value])[] = [
  ['HTTP_PROXY', 'proxy'],
  ['http_proxy', 'proxy'], // curl reads only this spelling
  ['HTTPS_PROXY', 'proxy'],
  ['https_proxy', 'proxy'],
  ['ALL_PROXY', 'proxy'],
  ['all_proxy', 'proxy'],
  ['NO_PROXY', 'noProxy'],
  ['no_proxy', 'noProxy'],
  ['grpc_proxy', 'proxy'],
  ['NODE_USE_ENV_PROXY', { fixed: '1' }], // Node's fetch and http ignore the variables above without it
  ['GIT_HTTP_PROXY_AUTHMETHOD', { fixed: 'basic' }], // git waits for a challenge otherwise
  ['YARN_HTTP_PROXY', 'proxy'],
  ['YARN_HTTPS_PROXY', 'proxy'],
  ['CLOUDSDK_PROXY_TYPE', { fixed: 'http' }],
  ['CLOUDSDK_PROXY_ADDRESS', 'proxyHost'],
  ['CLOUDSDK_PROXY_PORT', 'proxyPort'],
  ['CLOUDSDK_PROXY_USERNAME', 'proxyUser'],
  ['CLOUDSDK_PROXY_PASSWORD', 'proxyPassword'],
  ['NODE_EXTRA_CA_CERTS', 'ca'],
  ['DENO_CERT', 'ca'],
  ['SSL_CERT_FILE', 'bundle'], // OpenSSL, Go, Python's ssl, uv, .NET
  ['REQUESTS_CA_BUNDLE', 'bundle'],
  ['CURL_CA_BUNDLE', 'bundle'],
  ['GIT_SSL_CAINFO', 'bundle'], // Debian's git links GnuTLS, which ignores SSL_CERT_FILE
  ['AWS_CA_BUNDLE', 'bundle'],
  ['PIP_CERT', 'bundle'],
  ['CARGO_HTTP_CAINFO', 'bundle'],
  ['GRPC_DEFAULT_SSL_ROOTS_FILE_PATH', 'bundle'],
  ['npm_config_cafile', 'bundle'], // a cafile in any npmrc replaces NODE_EXTRA_CA_CERTS
  ['UV_SYSTEM_CERTS', { fixed: '1' }],
  ['BUNDLE_SSL_CA_CERT', 'bundle'],
  ['CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE', 'bundle'],
]

/** Loopback never goes through a proxy; the proxy itself must not either. Exact names only: every client reads those alike. */
function noProxyFor(proxyHost: string): string {
  return [...new Set(['localhost', '127.0.0.1', '::1', proxyHost])].join(',')
}

export type SandboxEnvironmentOptions = {
  /** `http://id:token@host:port`. */
  readonly proxyUrl: string
  /** As the sandbox sees them. */
  readonly files: PublicFiles
  /** Variable to placeholder, for each credential that has one. */
  readonly placeholders: Readonly<Record<string, string>>
  /** JVMs print a notice for it and JDK builds break, so it is there only where asked for. */
  readonly jvm: boolean
}

export function sandboxEnvironment(options: SandboxEnvironmentOptions): Record<string, string> {
  const { files } = options
  const proxy = proxyParts(options.proxyUrl)
  const environment: Record<string, string> = {}
  for (const [name, value] of environmentTable) environment[name] = valueOf(value, options.proxyUrl, proxy, files)
  if (options.jvm) environment['JAVA_TOOL_OPTIONS'] = jvmOptions(proxy, files.trustStore)
  return { ...environment, ...options.placeholders }
}

type ProxyParts = { readonly host: string; readonly port: string; readonly user: string; readonly password: string }

/** Our own URL, made a moment ago: nothing of it was written by a client. */
function proxyParts(proxyUrl: string): ProxyParts {
  const url = new URL(proxyUrl)
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? '80' : url.port,
    user: url.username,
    password: url.password,
  }
}

function valueOf(value: Value, proxyUrl: string, proxy: ProxyParts, files: PublicFiles): string {
  if (typeof value === 'object') return value.fixed
  switch (value) {
    case 'bundle':
      return files.bundle
    case 'ca':
      return files.ca
    case 'noProxy':
      return noProxyFor(proxy.host)
    case 'proxy':
      return proxyUrl
    case 'proxyHost':
      return proxy.host
    case 'proxyPassword':
      return proxy.password
    case 'proxyPort':
      return proxy.port
    case 'proxyUser':
      return proxy.user
  }
}

/** A JVM has no switch for proxy credentials: there a session is told by its listener or its source. */
function jvmOptions({ host, port }: ProxyParts, trustStore: string): string {
  return [
    `-Dhttp.proxyHost=${host}`,
    `-Dhttp.proxyPort=${port}`,
    `-Dhttps.proxyHost=${host}`,
    `-Dhttps.proxyPort=${port}`,
    '-Dhttp.nonProxyHosts=localhost|127.*|[::1]',
    '-Djdk.http.auth.tunneling.disabledSchemes=',
    jvmQuote(`-Djavax.net.ssl.trustStore=${trustStore}`),
    '-Djavax.net.ssl.trustStoreType=JKS',
    `-Djavax.net.ssl.trustStorePassword=${trustStorePassword}`,
  ].join(' ')
}

/** A JVM splits the variable at white space outside of quotes of either kind, and knows no escapes. */
function jvmQuote(option: string): string {
  return /[\s'"]/.test(option) ? `"${option.replaceAll('"', `"'"'"`)}"` : option
}
