/** Programs that some tests run beside Node. */

import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { expect, type TestContext } from 'vitest'

/** Skips the test where the program is missing, and says so; on CI all of them are installed and a missing one fails. */
export async function needs(context: Pick<TestContext, 'skip'>, tool: string): Promise<void> {
  if (await isInstalled(tool)) return
  expect(process.env['CI'], `${tool} is missing`).toBeUndefined()
  context.skip(`skipped: there is no ${tool} on this machine`)
}

export async function isInstalled(tool: string): Promise<boolean> {
  if (tool.includes('/')) return true
  const found = (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((directory) => access(join(directory, tool), constants.X_OK))
  return (await Promise.allSettled(found)).some(({ status }) => status === 'fulfilled')
}
