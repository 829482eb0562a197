/**
 * What a secret is looked for as: worked out once for each secret, used for every answer it may come back in.
 *
 * Promises: what is kept goes when the secret goes; `tailBytes` is at least as long as anything that may be found and
 * what must follow it before that is known, so whoever holds back that much lets go of nothing too early.
 */

import type { Secret } from '../secret.ts'
import { type EscapeForm, escapeBytesMax, escapeForms, literal, undecided } from './escape-forms.ts'
import { Needle } from './needle.ts'
import { SextetForm } from './sextets.ts'

/** One way to read the text. */
type Reading = { readonly needle: Needle; readonly form: EscapeForm; readonly fold: Uint8Array }

/** Which bytes are to be looked at while nothing is under way: for each whether it is one, and which may follow it then. */
type Wakes = { readonly by: Uint8Array; readonly before: readonly Uint8Array[] }

export type SecretForms = {
  readonly readings: readonly Reading[]
  readonly sextets: SextetForm
  readonly wakes: Wakes
  readonly tailBytes: number
}

const asIs = Uint8Array.from({ length: 256 }, (_, byte) => byte)
const lowerCase = Uint8Array.from(asIs, (byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte))

const known = new WeakMap<Secret, SecretForms>()

export function secretForms(secret: Secret): SecretForms {
  const made = known.get(secret)
  if (made !== undefined) return made
  const forms = formsOf(Buffer.from(secret.reveal(), 'latin1'))
  known.set(secret, forms)
  return forms
}

function formsOf(secret: Buffer): SecretForms {
  const needle = new Needle(Uint8Array.from(secret))
  const forms = [escapeForms.plain, escapeForms.percent, escapeForms.json, escapeForms.html]
  // Without a space in it the two readings of `+` are one.
  if (secret.includes(0x20)) forms.push(escapeForms.form)
  const hex = Buffer.from(secret.toString('hex'), 'latin1')
  const readings = [
    ...forms.map((form) => ({ needle, form, fold: asIs })),
    { needle: new Needle(Uint8Array.from(hex)), form: escapeForms.plain, fold: lowerCase },
  ]
  return {
    readings,
    sextets: new SextetForm(secret),
    wakes: wakesOf(readings),
    tailBytes: (secret.length + 1) * escapeBytesMax,
  }
}

/** After the first byte of a secret comes its second, or an escape that may stand for it. */
function wakesOf(readings: readonly Reading[]): Wakes {
  const leads = new Set(readings.flatMap(({ form }) => [...Buffer.from(form.leads, 'latin1')]))
  const by = new Uint8Array(256)
  const before = Array.from(by, () => new Uint8Array(256))
  for (const [byte, after] of before.entries()) {
    for (const { needle, form, fold } of readings) {
      const [first, second = null] = needle.symbols
      const isLead = form.leads.includes(String.fromCharCode(byte))
      if (!isLead && fold[byte] !== first) continue
      by[byte] = 1
      for (let next = 0; next < 256; next++) {
        const goesOn = second === null || fold[next] === second || leads.has(next)
        if ((isLead && mayEscape(form, byte, next)) || (fold[byte] === first && goesOn)) after[next] = 1
      }
    }
  }
  return { by, before }
}

/** Whether any byte of a whole text is to be looked at. */
export function wakesAny({ by, before }: Wakes, bytes: Uint8Array, length: number): boolean {
  for (let i = 0; i < length; i++) {
    const byte = bytes[i] ?? 0
    if (by[byte] === 1 && (i === length - 1 || before[byte]?.[bytes[i + 1] ?? 0] === 1)) return true
  }
  return false
}

/** Whether these two are, or begin, an escape: what is none needs no reading, and what is one is read whole. */
function mayEscape(form: EscapeForm, lead: number, next: number): boolean {
  const bytes = Uint8Array.of(lead, next)
  return form.read(bytes, 1) !== undecided || form.read(bytes, 2) !== literal
}
