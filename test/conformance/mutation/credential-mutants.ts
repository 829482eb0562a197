/** Checks around secrets that are fetched and tokens that are made: `src/credentials`, and who asks for them. */

import type { Mutant } from './mutants.ts'

type Row = Pick<Mutant, 'from' | 'to' | 'without'> & Partial<Pick<Mutant, 'cases' | 'corpus' | 'unit'>>

const kept = (row: Row): Mutant => ({
  file: 'credentials/kept-value.ts',
  corpus: ['secret-source.test.ts'],
  cases: 'vault|command',
  ...row,
})
const vault = (row: Row): Mutant => ({
  file: 'credentials/sources/vault.ts',
  corpus: ['secret-source.test.ts'],
  cases: 'vault',
  ...row,
})
const minted = (row: Row): Mutant => ({
  file: 'credentials/minted-source.ts',
  corpus: ['unit/credentials/minted-source.test.ts'],
  ...row,
})
const oauth = (row: Row): Mutant => ({
  file: 'credentials/oauth-token.ts',
  corpus: ['unit/credentials/minting-kinds.test.ts'],
  ...row,
})
const endpoint = (row: Row): Mutant => ({
  file: 'credentials/token-endpoint.ts',
  corpus: ['unit/credentials/token-endpoint.test.ts'],
  ...row,
})
const own = (row: Row): Mutant => ({
  file: 'gateway/own-requests.ts',
  corpus: ['integration/own-requests.test.ts'],
  ...row,
})
const mtls = (row: Row): Mutant => ({
  file: 'credentials/kinds/mtls.ts',
  corpus: ['unit/credentials/mtls.test.ts'],
  ...row,
})

const cookies = (row: Row): Mutant => ({
  file: 'credentials/sealed-cookies.ts',
  corpus: ['unit/credentials/sealed-cookies.test.ts'],
  ...row,
})

export const credentialMutants: readonly Mutant[] = [
  kept({ without: 'the end of a value', from: 'now() < held.until', to: 'now() >= 0' }),
  kept({ without: 'one fetch at a time', from: 'waiting ??= renew()', to: 'waiting = renew()' }),
  kept({ without: 'the pause after a refusal', from: '|| now() - refusedAt < refusalMs', to: '' }),
  kept({ without: 'closing', from: 'if (closed) return\n    held', to: 'held' }),

  cookies({
    without: 'the session of a cookie',
    from: '[session, credential, host, name]',
    to: '[credential, host, name]',
  }),
  cookies({ without: 'its credential', from: '[session, credential, host, name]', to: '[session, host, name]' }),
  cookies({ without: 'its host', from: '[session, credential, host, name]', to: '[session, credential, name]' }),
  cookies({ without: 'its name', from: '[session, credential, host, name]', to: '[session, credential, host]' }),
  cookies({ without: 'its seal', from: 'return null\n    }\n  }', to: 'return text\n    }\n  }' }),
  cookies({ without: 'its one spelling', from: " || bytes.toString('base64url') !== sealed", to: '' }),
  cookies({ without: 'the attributes', from: 'keptAttribute.test(attribute)', to: "attribute !== ''" }),
  cookies({ without: 'the number', from: 'pairs.length < cookiesMax ? open', to: 'pairs.length >= 0 ? open' }),
  cookies({ without: 'what must not come back', from: "if (typeof secret !== 'string') secrets.push(secret)", to: '' }),
  {
    file: 'exchange/cookie-jar.ts',
    without: 'cookies that stay behind where there is no jar',
    from: "credential === null && foreignCredentials === 'allow'",
    to: 'credential !== undefined',
    corpus: ['hostile-fields.test.ts'],
    cases: 'HDR-12',
  },

  vault({ without: 'the status', from: 'if (status !== 200) return', to: 'if (status === 0) return' }),
  vault({ without: 'its token', from: 'if (token === null) return', to: 'if (path === "") return' }),
  vault({ without: 'dots in paths', from: '/^\\.\\.?$/.test(segment)', to: "segment === '?'" }),

  minted({ without: 'the end of a token', from: 'time < this.#held.until', to: 'time >= 0' }),
  minted({ without: 'renewal before the end', from: 'time >= held.renewAt', to: 'time < 0' }),
  minted({
    without: 'the secret that it was made of',
    from: 'if (this.#base !== secret && this.#base?.reveal() !== secret.reveal())',
    to: 'if (this.#base === null)',
  }),
  minted({
    without: 'secrets that vanish',
    from: 'if (secret === null || this.#closed) {',
    to: 'if (secret === null) {',
  }),
  minted({
    without: 'one at a time',
    from: 'this.#making ??= this.#renew(secret)',
    to: 'this.#making = this.#renew(secret)',
  }),
  minted({ without: 'the pause after a failure', from: 'time >= this.#retryAt', to: 'time >= 0' }),
  minted({ without: 'a pause that grows', from: '* 2 ** this.#failures++', to: '' }),
  minted({
    without: 'renewal after a refusal',
    from: 'if (mayMake && this.#doubted)',
    to: 'if (mayMake && this.#closed)',
  }),
  minted({ without: 'the pause after a refusal', from: '|| time - this.#doubtedAt < refusalMs', to: '' }),
  minted({ without: 'changes while it was made', from: 'if (this.#base !== secret) return\n', to: '' }),

  oauth({ without: 'the status', from: 'if (answer.status !== 200) return', to: 'if (answer.status === 0) return' }),
  oauth({
    without: 'the type of a token',
    from: "said.token_type.toLowerCase() !== 'bearer'",
    to: "said.token_type === ''",
  }),
  oauth({
    without: 'what a token may hold',
    from: "if (typeof token === 'string') return",
    to: "if (said.access_token === '') return",
  }),
  oauth({ without: 'the list of refusals', from: 'refusals.has(error)', to: 'error !== null' }),
  oauth({ without: 'the longest life', from: 'Math.min(counted, lifetimeSecondsMax)', to: 'counted' }),

  endpoint({
    without: 'the placeholder',
    from: "if (!request.isProven && !proves('client_secret')",
    to: "if (!request.isProven && !proves('')",
  }),
  endpoint({ without: 'any placeholder', from: 'parameters.get(name) === placeholder', to: 'parameters.has(name)' }),
  endpoint({ without: 'its host', from: 'head.authority.text === place.authority.text &&', to: '' }),
  endpoint({
    without: 'its path',
    from: "head.path === (path === '' ? '/' : path)",
    to: "head.path !== ''",
  }),
  endpoint({ without: 'its method', from: "head.method === 'POST' &&", to: '' }),
  endpoint({ without: 'https', from: "head.scheme === 'https' &&", to: '' }),
  endpoint({
    without: 'the issuer of an assertion',
    from: 'if (claims?.issuer !== placeholder) return null',
    to: 'if (claims === null) return null',
  }),
  endpoint({
    without: 'the proof of an app',
    from: 'request.isProven ? answerApp(placeholder, epochMs) : null',
    to: 'answerApp(placeholder, epochMs)',
  }),
  endpoint({
    without: 'the grant of an assertion',
    from: "parameters.get('grant_type') === 'urn",
    to: "'urn' !== 'urn",
  }),
  {
    file: 'policy/foreign-credential.ts',
    without: 'the issuer of a token',
    from: 'parseJsonWebToken(token)?.issuer === placeholder',
    to: 'parseJsonWebToken(token)?.text.includes(placeholder) === true',
    corpus: ['unit/policy/find-placeholders.test.ts'],
  },
  {
    file: 'policy/find-placeholders.ts',
    without: 'what tokens say',
    from: 'if (token?.text.includes(placeholder) === true) return true',
    to: '',
    corpus: ['unit/policy/find-placeholders.test.ts'],
  },
  {
    file: 'policy/foreign-body.ts',
    without: 'tokens in bodies',
    from: "return spelling !== null && spelling.form !== 'jwt'",
    to: 'return spelling !== null',
    corpus: ['hostile-bodies.test.ts'],
    cases: 'token of the client',
  },
  {
    file: 'credentials/kinds/placeholder.ts',
    without: 'tokens of the client',
    from: " || spelling.form === 'jwt') return false",
    to: ') return false',
    corpus: ['unit/credentials/equip.test.ts'],
  },
  endpoint({ without: 'names that stand once', from: 'form.getAll(name).length === 1', to: 'name !== ""' }),

  own({
    without: 'the judge of addresses',
    from: "return address.kind === 'deny'\n",
    to: "return address.kind !== 'deny' && false\n",
  }),
  own({
    without: 'what is known of vaults',
    from: 'await resolve(place.authority.host)\n        if',
    to: 'await resolve(place.authority.host)\n        if (timeoutMs < 0) if',
  }),

  mtls({
    without: 'the key of the certificate',
    from: 'if (!certificate.checkPrivateKey(createPrivateKey(key)))',
    to: 'if (key === "")',
  }),
  mtls({ without: 'the beginning', from: 'Date.parse(certificate.validFrom) > now', to: 'now < 0' }),
  mtls({ without: 'the end', from: 'return lifetimeMs > 0 ?', to: 'return now > 0 ?' }),

  {
    file: 'upstream/origin-pools.ts',
    without: 'the client certificate among what makes a pool',
    from: 'one.identity === other.identity &&',
    to: '',
    corpus: ['integration/mtls-origins.test.ts'],
  },
  {
    file: 'upstream/own-endpoints.ts',
    without: 'names of our own',
    from: 'if (endpoint.address === name) return true',
    to: '',
    corpus: ['unit/upstream/own-endpoints.test.ts'],
  },
  {
    file: 'exchange/deliver.ts',
    without: 'the refusal that an origin answered with',
    from: "if (end.kind === 'completed' && end.status === 401)",
    to: "if (end.kind === 'completed' && end.status === 0)",
    corpus: ['integration/minted-tokens.test.ts'],
  },
  {
    file: 'credentials/equip.ts',
    without: 'the placeholder of another credential at a token endpoint',
    from: "if (misplaced !== null) return deny('placeholder_elsewhere', placeOf(misplaced), rule)\n  // Encoded",
    to: '// Encoded',
    corpus: ['integration/token-endpoints.test.ts'],
  },
  {
    file: 'policy/foreign-credential.ts',
    without: 'the id of the client',
    from: 'if (placeholder === null || clientId === null) return false',
    to: 'if (placeholder === null || clientId === null || placeholder.length > 0) return value.endsWith("=")',
    corpus: ['integration/token-endpoints.test.ts'],
  },
]
