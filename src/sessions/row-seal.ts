/**
 * Seals of what a store keeps. Pure.
 *
 * Promises: a text without the seal of this key is not read, whoever wrote it.
 */

import { createHmac, timingSafeEqual } from 'node:crypto'

export function sealOf(body: string, key: Buffer): Buffer {
  return createHmac('sha256', key).update(body).digest()
}

/** The body; null: its seal is another's. */
export function unseal(body: string, seal: Uint8Array, key: Buffer): string | null {
  const expected = sealOf(body, key)
  return seal.length === expected.length && timingSafeEqual(seal, expected) ? body : null
}

/** Null for what is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
