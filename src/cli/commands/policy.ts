/** `sallyport policy …`: what policies say, without a gateway. */

import type { AddCommand } from '../command.ts'
import { addCheck } from './policy-check.ts'
import { addExplain } from './policy-explain.ts'
import { addPresets } from './policy-presets.ts'
import { addTest } from './policy-test.ts'

export const addPolicyCommand: AddCommand = (program, world, exitWith) => {
  const policy = program.command('policy').description('Check, explain and test policies; no gateway is needed.')
  for (const add of [addCheck, addExplain, addTest, addPresets]) add(policy, world, exitWith)
}
