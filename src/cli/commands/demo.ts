/** `sallyport demo`: the whole story on this machine, without the internet. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type AddCommand, examples } from '../command.ts'
import { startDemoOrigin } from '../demo-origin.ts'
import { originName, startDemoGateway, type Step, tellStory } from '../demo-story.ts'
import { paintFor, visible } from '../paint.ts'
import type { World } from '../world.ts'

type Options = { readonly json?: true }

export const addDemoCommand: AddCommand = (program, world, exitWith) => {
  program
    .command('demo')
    .description('The story on this machine, without the internet. Exit 0 only if all was as told.')
    .option('--json', 'print the steps as JSON')
    .addHelpText('after', examples('sallyport demo'))
    .action(async (options: Options) => exitWith(await demo(options, world)))
}

async function demo(options: Options, world: World): Promise<number> {
  const directory = await mkdtemp(path.join(tmpdir(), 'sallyport-demo-'))
  try {
    const steps = await tell(directory, world)
    if (options.json === true) world.out.write(`${JSON.stringify(steps, null, 2)}\n`)
    else print(steps, world)
    return steps.every(({ isAsTold }) => isAsTold) ? 0 : 1
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function tell(directory: string, world: World): Promise<Step[]> {
  const origin = await startDemoOrigin(originName, directory)
  try {
    const demo = await startDemoGateway(directory, origin, world)
    try {
      return await tellStory(demo, origin)
    } finally {
      await demo.gateway.stop()
    }
  } finally {
    await origin.close()
  }
}

function print(steps: readonly Step[], world: World): void {
  const paint = paintFor(world.out, world.env)
  for (const { title, lines, isAsTold } of steps) {
    const mark = isAsTold ? paint('green', 'ok  ') : paint('red', 'FAIL')
    world.out.write(`${mark} ${paint('bold', title)}\n${lines.map((line) => `     ${visible(line)}\n`).join('')}\n`)
  }
  const isGood = steps.every(({ isAsTold }) => isAsTold)
  world.out.write(`${isGood ? paint('green', 'all was as told') : paint('red', 'something was not as told')}\n`)
}
