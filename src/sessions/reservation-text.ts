/** A reservation as the words of a script, and what the script answers. Pure. */

import type { Reservation, Reserved, Share } from './reservation.ts'

export function wordsOf({ recent, hosts, wishes }: Reservation, name: string): string[] {
  const words = wishes.flatMap(({ host, up, down }) => [host, up.bytes, up.limit, down.bytes, down.limit].map(String))
  return [name, `${recent}`, `${hosts}`, ...words]
}

export function parseReserved({ wishes }: Reservation, [recent, ...words]: readonly string[]): Reserved {
  const shareAt = (at: number): Share => ({ total: Number(words[at]), granted: Number(words[at + 1]) })
  return {
    recent: Number(recent),
    shares: wishes.map((_, at) => ({ up: shareAt(at * 4), down: shareAt(at * 4 + 2) })),
    hosts: words.slice(wishes.length * 4),
  }
}
