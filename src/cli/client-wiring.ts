/**
 * Programs that speak HTTP, and what each needs of its environment to find the gateway and to trust its CA. Pure.
 *
 * Promises: a client is called wired only where it was seen to have both; one whose wiring no environment can give is
 * never called wired.
 */

import type { Environment } from './world.ts'

type Client = {
  readonly name: string
  readonly program: string
  /** Variables that all have to name the gateway; none: something else leads it there, or nothing does. */
  readonly proxy: readonly string[]
  /** The first of these that is set is its store of roots; `system`: it knows only the system's. */
  readonly roots: readonly string[] | 'system'
  /** Variables that have to say just this. */
  readonly fixed?: Readonly<Record<string, string>>
  /** What has to be done by hand. */
  readonly byHand?: string
}

const usual = ['HTTPS_PROXY', 'https_proxy'] as const
const jvm = 'JAVA_TOOL_OPTIONS'

export const clients: readonly Client[] = [
  { name: 'apt', program: 'apt-get', proxy: ['https_proxy'], roots: 'system' },
  { name: 'AWS CLI', program: 'aws', proxy: usual, roots: ['AWS_CA_BUNDLE'] },
  { name: 'Bun', program: 'bun', proxy: usual, roots: ['NODE_EXTRA_CA_CERTS'] },
  { name: 'Bundler', program: 'bundle', proxy: ['https_proxy'], roots: ['BUNDLE_SSL_CA_CERT'] },
  { name: 'Cargo', program: 'cargo', proxy: usual, roots: ['CARGO_HTTP_CAINFO'] },
  {
    name: 'Chromium',
    program: 'chromium',
    proxy: [],
    roots: 'system',
    byHand: 'start it with --proxy-server, and add the CA with certutil -d sql:$HOME/.pki/nssdb',
  },
  { name: 'curl', program: 'curl', proxy: ['https_proxy', 'http_proxy'], roots: ['CURL_CA_BUNDLE', 'SSL_CERT_FILE'] },
  { name: 'Deno', program: 'deno', proxy: usual, roots: ['DENO_CERT'] },
  {
    name: 'Docker',
    program: 'docker',
    proxy: [],
    roots: 'system',
    byHand: 'its daemon stands outside, with a network of its own: no environment of a sandbox reaches it',
  },
  { name: '.NET', program: 'dotnet', proxy: usual, roots: ['SSL_CERT_FILE'] },
  {
    name: 'gcloud',
    program: 'gcloud',
    proxy: [],
    roots: ['CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE'],
    fixed: { CLOUDSDK_PROXY_TYPE: 'http' },
  },
  { name: 'GitHub CLI', program: 'gh', proxy: usual, roots: ['SSL_CERT_FILE'] },
  {
    name: 'git',
    program: 'git',
    proxy: ['https_proxy'],
    roots: ['GIT_SSL_CAINFO'],
    fixed: { GIT_HTTP_PROXY_AUTHMETHOD: 'basic' },
  },
  { name: 'Go', program: 'go', proxy: usual, roots: ['SSL_CERT_FILE'] },
  { name: 'Gradle', program: 'gradle', proxy: [], roots: [jvm] },
  { name: 'Java', program: 'java', proxy: [], roots: [jvm] },
  { name: 'kubectl', program: 'kubectl', proxy: usual, roots: ['SSL_CERT_FILE'] },
  { name: 'Maven', program: 'mvn', proxy: [], roots: [jvm] },
  {
    name: 'Node',
    program: 'node',
    proxy: usual,
    roots: ['NODE_EXTRA_CA_CERTS'],
    fixed: { NODE_USE_ENV_PROXY: '1' },
  },
  { name: 'npm', program: 'npm', proxy: usual, roots: ['npm_config_cafile'] },
  { name: 'pip', program: 'pip', proxy: usual, roots: ['PIP_CERT', 'REQUESTS_CA_BUNDLE'] },
  { name: 'Python', program: 'python3', proxy: usual, roots: ['SSL_CERT_FILE'] },
  { name: 'Ruby', program: 'ruby', proxy: ['https_proxy'], roots: ['SSL_CERT_FILE'] },
  { name: 'Terraform', program: 'terraform', proxy: usual, roots: ['SSL_CERT_FILE'] },
  { name: 'uv', program: 'uv', proxy: usual, roots: ['SSL_CERT_FILE'] },
  { name: 'wget', program: 'wget', proxy: ['https_proxy', 'http_proxy'], roots: 'system' },
  { name: 'Yarn', program: 'yarn', proxy: ['YARN_HTTPS_PROXY'], roots: ['NODE_EXTRA_CA_CERTS'] },
]

export type Surroundings = {
  readonly env: Environment
  /** Whether this file of roots, or the system's, holds the gateway's CA. */
  readonly trusts: (file: string) => boolean
  readonly systemTrusts: boolean
  /** `v26.10.0`; null: it does not say. */
  readonly nodeVersion: string | null
}

export type Wiring = { readonly verdict: 'by hand' | 'not wired' | 'wired'; readonly detail: string }

export function wiringOf(client: Client, surroundings: Surroundings): Wiring {
  if (client.byHand !== undefined) return { verdict: 'by hand', detail: client.byHand }
  const missing =
    client.roots === 'system' || !client.roots.includes(jvm) ? usualGaps(client, surroundings) : jvmGaps(surroundings)
  if (client.program === 'node') missing.push(...nodeGaps(surroundings.nodeVersion))
  return missing.length === 0
    ? { verdict: 'wired', detail: 'finds the gateway and trusts its CA' }
    : { verdict: 'not wired', detail: missing.join('; ') }
}

function usualGaps({ proxy, roots, fixed = {} }: Client, surroundings: Surroundings): string[] {
  const { env } = surroundings
  const gateway = env['HTTPS_PROXY'] ?? ''
  const unled = proxy.filter((name) => gateway === '' || env[name] !== gateway)
  const unlike = Object.entries(fixed).filter(([name, value]) => env[name] !== value)
  return [
    ...(unled.length === 0 ? [] : [`${unled.join(', ')} does not name the gateway`]),
    ...unlike.map(([name, value]) => `${name} is not ${value}`),
    ...rootGaps(roots, surroundings),
  ]
}

function rootGaps(roots: Client['roots'], { env, trusts, systemTrusts }: Surroundings): string[] {
  if (roots === 'system') return systemTrusts ? [] : ["the system's store does not hold the CA"]
  const name = roots.find((one) => (env[one] ?? '') !== '')
  if (name === undefined) return [`${roots[0] ?? ''} is not set`]
  return trusts(env[name] ?? '') ? [] : [`${name} names no file that holds the CA`]
}

function jvmGaps({ env }: Surroundings): string[] {
  const options = env[jvm] ?? ''
  const needed = ['-Dhttps.proxyHost=', '-Djavax.net.ssl.trustStore=']
  return needed.filter((one) => !options.includes(one)).map((one) => `${jvm} has no ${one} (see env --jvm)`)
}

/** Since 22.21 and 24.5 it goes by its environment, if told to. */
function nodeGaps(version: string | null): string[] {
  const [, major, minor] = /^v(\d+)\.(\d+)\./.exec(version ?? '') ?? []
  const number = Number(major) * 1000 + Number(minor)
  const isAble = (number >= 22_021 && number < 23_000) || number >= 24_005
  return isAble ? [] : [`${version ?? 'it'} takes no proxy from its environment; 22.21 and 24.5 do`]
}
