/** What must be masked, found the slow and obvious way: each decoding of the whole text, searched with indexOf. */

export type Span = readonly [from: number, to: number]

type Token = { readonly symbol: string; readonly from: number; readonly to: number }

const named: Readonly<Record<string, string>> = { amp: '&', apos: "'", gt: '>', lt: '<', quot: '"' }

const decodings: readonly (readonly [RegExp, (token: string) => string])[] = [
  [/[^]/g, (token) => token],
  [/%[0-9a-f]{2}|[^]/gi, (token) => (token.length > 1 ? chr(Number.parseInt(token.slice(1), 16)) : token)],
  [
    /%[0-9a-f]{2}|[^]/gi,
    (token) => (token.length > 1 ? chr(Number.parseInt(token.slice(1), 16)) : token === '+' ? ' ' : token),
  ],
  [
    /\\u[0-9a-f]{4}|\\x[0-9a-f]{2}|\\[bfnrt]|\\[ -/:-@[-`{-~]|[^]/gi,
    (token) => {
      if (token.length === 1) return token
      if (/^\\[bfnrt]$/.test(token)) return '\n'
      return token.length === 2
        ? /^\\[BFNRT]$/.test(token)
          ? token
          : (token[1] ?? '')
        : chr(Number.parseInt(token.slice(2), 16))
    },
  ],
  [
    /&(?:amp|apos|gt|lt|quot);|&#[0-9]{1,7};|&#[xX][0-9a-fA-F]{1,6};|[^]/g,
    (token) => {
      if (token.length === 1) return token
      const inner = token.slice(1, -1)
      if (!inner.startsWith('#')) return named[inner] ?? ''
      return chr(/^#x/i.test(inner) ? Number.parseInt(inner.slice(2), 16) : Number(inner.slice(1)))
    },
  ],
]

/** Beyond one byte: no character of a secret. */
function chr(code: number): string {
  return code < 0x100 ? String.fromCharCode(code) : '\n'
}

export function maskedBy(secret: string, text: string): Span[] {
  const spans: Span[] = []
  for (const [pattern, decode] of decodings) {
    // The reading where a plus is a space is one of secrets with spaces.
    if (decode('+') === ' ' && !secret.includes(' ')) continue
    const tokens = tokensOf(text, pattern, decode)
    const decoded = tokens.map(({ symbol }) => symbol).join('')
    for (const at of placesOf(decoded, secret))
      spans.push([tokens[at]?.from ?? 0, tokens[at + secret.length - 1]?.to ?? 0])
  }
  const hex = Buffer.from(secret, 'latin1').toString('hex')
  for (const at of placesOf(text.toLowerCase(), hex)) spans.push([at, at + hex.length])
  return [...spans, ...base64Spans(secret, text)]
}

function tokensOf(text: string, pattern: RegExp, decode: (token: string) => string): Token[] {
  const tokens: Token[] = []
  for (const match of text.matchAll(pattern)) {
    const symbols = decode(match[0])
    for (const [i, symbol] of Array.from(symbols).entries())
      tokens.push({
        symbol,
        from: match.index + (symbols.length > 1 ? i : 0),
        to: match.index + (symbols.length > 1 ? i + 1 : match[0].length),
      })
  }
  return tokens
}

function placesOf(text: string, wanted: string): number[] {
  const places: number[] = []
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1)) places.push(at)
  return places
}

function base64Spans(secret: string, text: string): Span[] {
  const folded = text.replaceAll('-', '+').replaceAll('_', '/')
  return [0, 1, 2].flatMap((ahead) => {
    const whole = Buffer.from('\0'.repeat(ahead) + secret, 'latin1')
    const from = Math.ceil((ahead * 4) / 3)
    const to = Math.floor((whole.length * 4) / 3)
    const inner = whole.toString('base64').slice(from, to)
    if (inner.length < 4) return []
    return placesOf(folded, inner).map((at): Span => {
      const end = at + inner.length
      const before = ahead > 0 && isBase64(folded[at - 1]) ? 1 : 0
      const after = whole.length % 3 !== 0 && isBase64(folded[end]) ? 1 : 0
      return [at - before, end + after]
    })
  })
}

function isBase64(character: string | undefined): boolean {
  return character !== undefined && /[A-Za-z0-9+/]/.test(character)
}

/** Each way to write a secret; `seed` decides what is left to choice. */
export const renderings: readonly ((secret: string, seed: number) => string)[] = [
  (secret) => secret,
  (secret, seed) => mixed(secret, seed, /[%]/, (code) => `%${cased(code.toString(16).padStart(2, '0'), seed)}`),
  (secret, seed) => mixed(secret, seed, /["\\]/, (code) => `\\u00${cased(code.toString(16).padStart(2, '0'), seed)}`),
  (secret, seed) => mixed(secret, seed, /[&]/, (code) => (seed % 2 === 0 ? `&#${code};` : `&#x${code.toString(16)};`)),
  (secret) => secret.replace(/[^A-Za-z0-9]/g, (c) => (c === '/' || c === '"' || c === '\\' ? `\\${c}` : c)),
  (secret, seed) => cased(Buffer.from(secret, 'latin1').toString('hex'), seed),
  (secret, seed) => Buffer.from('x'.repeat(seed % 3) + secret + 'y'.repeat(seed % 5), 'latin1').toString('base64'),
  (secret, seed) => Buffer.from('x'.repeat(seed % 3) + secret + 'y'.repeat(seed % 5), 'latin1').toString('base64url'),
]

function mixed(secret: string, seed: number, always: RegExp, escape: (code: number) => string): string {
  return Array.from(secret)
    .map((c, i) => (always.test(c) || (seed >> (i % 20)) % 2 === 1 ? escape(c.charCodeAt(0)) : c))
    .join('')
}

function cased(digits: string, seed: number): string {
  return seed % 3 === 0 ? digits.toUpperCase() : digits
}
