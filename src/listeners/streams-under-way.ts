/**
 * All exchanges of one connection of HTTP/2, as one.
 *
 * Promises: what befalls the connection befalls each of them; what a policy that narrows no longer allows goes alone.
 */

import type { ActiveExchange, Interruption } from '../exchange/connection.ts'
import { interrupted, type InterruptReason } from '../exchange/outcome.ts'
import type { Session } from '../sessions/session.ts'

export class StreamsUnderWay implements ActiveExchange {
  readonly exchanges = new Set<ActiveExchange>()

  stillAllowed(session: Session): boolean {
    return [...this.exchanges].every((one) => one.stillAllowed(session))
  }

  /** Each is a stream of its own, and the connection none of theirs. */
  narrow(session: Session): void {
    for (const one of this.exchanges) {
      if (one.stillAllowed(session)) continue
      this.exchanges.delete(one)
      void one.cut('narrowed')
      one.interrupt(interrupted('narrowed'))
    }
  }

  check(now: number): void {
    for (const one of this.exchanges) one.check(now)
  }

  interrupt(why: Interruption): void {
    for (const one of this.exchanges) one.interrupt(why)
  }

  cut(why: InterruptReason | null): Promise<void> | null {
    const words = [...this.exchanges].map((one) => one.cut(why)).filter((word) => word !== null)
    return words.length === 0 ? null : Promise.all(words).then(() => undefined)
  }

  drained(): void {
    for (const one of this.exchanges) one.drained()
  }

  leave(): void {
    for (const one of this.exchanges) one.leave()
  }
}
