/** The contract of a command: it adds itself to the program and says its exit code when it is done. */

import type { Command } from 'commander'
import type { World } from './world.ts'

type ExitWith = (code: number) => void

export type AddCommand = (program: Command, world: World, exitWith: ExitWith) => void

/** For options that may be given several times. */
export function collect(value: string, before: readonly string[]): string[] {
  return [...before, value]
}

export function examples(...lines: readonly string[]): string {
  return `\n${lines.length === 1 ? 'Example' : 'Examples'}:\n${lines.map((line) => `  ${line}\n`).join('')}`
}
