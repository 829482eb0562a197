/**
 * Colour and text for terminals. Pure.
 *
 * Promises: no colour where NO_COLOR is set or nobody looks; what a sandbox sent cannot move the cursor.
 */

import { styleText } from 'node:util'
import type { Environment, Terminal } from './world.ts'

export type Paint = (style: 'bold' | 'cyan' | 'dim' | 'green' | 'red' | 'yellow', text: string) => string

export function paintFor(terminal: Terminal, env: Environment): Paint {
  // An empty NO_COLOR means nothing (no-color.org).
  const isPlain = !terminal.isTerminal || (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb'
  return isPlain ? (_style, text) => text : (style, text) => styleText(style, text, { validateStream: false })
}

/** Controls, formatting and line separators as escapes. */
export function visible(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu,
    (unit) => `\\u${(unit.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  )
}

/** Columns padded to their widest cell; the last one is left as it is. Widths are of the plain text. */
export function columns(rows: readonly (readonly string[])[], paintCell?: PaintCell): string {
  const widths: number[] = []
  for (const row of rows)
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length)
  return rows
    .map((row, line) => {
      const cells = row.map((cell, index) => {
        const padding = index === row.length - 1 ? '' : ' '.repeat((widths[index] ?? 0) - cell.length)
        return `${paintCell?.(cell, line, index) ?? cell}${padding}`
      })
      return `${cells.join('  ').trimEnd()}\n`
    })
    .join('')
}

type PaintCell = (cell: string, row: number, column: number) => string
