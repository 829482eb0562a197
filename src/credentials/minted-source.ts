/**
 * Tokens that are made from a configured secret and presented in its stead.
 *
 * Promises: one is made at a time, however many requests wait; it is renewed before it ends, while the old one is still
 * given; none is given past its end, nor once the secret it was made of is gone or another. One that cannot be made is tried
 * again after a pause that grows; one that an origin refused is renewed once, and not for every refusal.
 */

import type { OwnNetwork } from './own-request.ts'
import type { Secret, SecretRules } from './secret.ts'
import type { SecretSource } from './secret-source.ts'

export type Minted = { readonly token: Secret; readonly lifetimeMs: number }

/** The token, or a sentence about why there is none that holds nothing of the secret. */
export type Mint = (secret: Secret) => Promise<Minted | string>

export type MintWorld = OwnNetwork & {
  readonly rules: SecretRules
  /** Something that the operator should hear. */
  readonly note: (message: string) => void
}

const retryMs = { first: 1000, most: 60_000 } as const
/** An origin that refuses every token must not make every request ask for one. */
const refusalMs = 30_000
/** How long before its end, at most, a token is renewed, and how long before it none is given: requests take a while to arrive. */
const earlyMs = { renewed: 120_000, ended: 10_000 } as const

type Held = { readonly token: Secret; readonly renewAt: number; readonly until: number }

class MintedSource implements SecretSource {
  readonly #source: SecretSource
  readonly #mint: Mint
  readonly #now: () => number
  /** What `#held` was made of. */
  #base: Secret | null = null
  #held: Held | null = null
  #making: Promise<void> | null = null
  #problem: string | null = null
  #failures = 0
  #retryAt = Number.NEGATIVE_INFINITY
  #doubted = false
  #doubtedAt = Number.NEGATIVE_INFINITY
  #closed = false

  constructor(source: SecretSource, mint: Mint, now: () => number) {
    this.#source = source
    this.#mint = mint
    this.#now = now
  }

  readonly read = (): Promise<Secret | null> | Secret | null => {
    const secret = this.#source.read()
    return secret instanceof Promise ? secret.then((value) => this.#present(value)) : this.#present(secret)
  }

  readonly problem = (): string | null => this.#source.problem() ?? (this.#held === null ? this.#problem : null)

  readonly refused = (): void => {
    this.#source.refused?.()
    const time = this.#now()
    if (this.#held === null || time - this.#doubtedAt < refusalMs) return
    this.#doubted = true
    this.#doubtedAt = time
  }

  readonly close = (): void => {
    this.#closed = true
    this.#forget()
    this.#source.close()
  }

  #present(secret: Secret | null): Promise<Secret | null> | Secret | null {
    if (secret === null || this.#closed) {
      this.#forget()
      return null
    }
    // The same text may come as another object: what is under way for it goes on.
    if (this.#base !== secret && this.#base?.reveal() !== secret.reveal()) {
      this.#forget()
      this.#base = secret
    }
    const base = this.#base ?? secret
    const time = this.#now()
    const mayMake = this.#making !== null || time >= this.#retryAt
    const held = this.#held !== null && time < this.#held.until ? this.#held : null
    if (held === null) {
      this.#held = null
      return mayMake ? this.#make(base) : null
    }
    if (mayMake && this.#doubted) return this.#make(base)
    if (mayMake && time >= held.renewAt) void this.#make(base)
    return held.token
  }

  #make(secret: Secret): Promise<Secret | null> {
    this.#making ??= this.#renew(secret)
    return this.#making.then(() => (this.#base === secret ? (this.#held?.token ?? null) : null))
  }

  async #renew(secret: Secret): Promise<void> {
    const began = this.#now()
    // A kind that fails where it should not is still no reason to go on without a token.
    const minted = await this.#mint(secret).catch(() => 'failed')
    // Forgotten meanwhile: what was made belongs to a secret that is gone.
    if (this.#base !== secret) return
    this.#making = null
    this.#doubted = false
    if (typeof minted === 'string') {
      this.#problem = minted
      this.#retryAt = this.#now() + Math.min(retryMs.first * 2 ** this.#failures++, retryMs.most)
      return
    }
    const { token, lifetimeMs } = minted
    const end = began + lifetimeMs
    this.#failures = 0
    this.#problem = null
    this.#held = {
      token,
      renewAt: end - Math.min(earlyMs.renewed, lifetimeMs / 5),
      until: end - Math.min(earlyMs.ended, lifetimeMs / 10),
    }
  }

  #forget(): void {
    this.#base = null
    this.#held = null
    this.#making = null
    this.#problem = null
    this.#failures = 0
    this.#retryAt = Number.NEGATIVE_INFINITY
    this.#doubted = false
  }
}

export function createMintedSource(source: SecretSource, mint: Mint, now: () => number): SecretSource {
  return new MintedSource(source, mint, now)
}
