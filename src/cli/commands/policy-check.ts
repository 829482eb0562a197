/** `sallyport policy check FILE…`: all problems of the files at once, each with its place and the fix. */

import { type AddCommand, examples } from '../command.ts'
import { paintFor } from '../paint.ts'
import { assumedNote, compileFiles } from '../policy-files.ts'
import { type Issue, issueText } from '../../policy/issue.ts'
import type { World } from '../world.ts'

type Options = { readonly config?: string; readonly json?: true }

export const addCheck: AddCommand = (policy, world, exitWith) => {
  policy
    .command('check')
    .description('All problems of the files at once, each with its place and the fix. Exit 1 if there are any.')
    .argument('<file...>', 'policy files; they may extend each other and the shipped policies')
    .option('--config <file>', 'check against the credentials and policies of this configuration too')
    .option('--json', 'print the problems as JSON')
    .addHelpText('after', examples('sallyport policy check policies/*.yaml'))
    .action(async (files: string[], options: Options) => exitWith(await check(files, options, world)))
}

async function check(files: readonly string[], options: Options, world: World): Promise<number> {
  const compiled = await compileFiles(files, options, world)
  const issues = compiled.kind === 'issues' ? compiled.issues : []
  if (options.json === true) world.out.write(`${JSON.stringify({ files: files.length, issues }, null, 2)}\n`)
  else tell(issues, files.length, compiled.assumed, world)
  return issues.length === 0 ? 0 : 1
}

function tell(issues: readonly Issue[], files: number, assumed: readonly string[], world: World): void {
  const paint = paintFor(world.out, world.env)
  for (const issue of issues) world.out.write(`${issueText(issue)}\n`)
  const count = files === 1 ? '1 file' : `${files} files`
  const problems = issues.length === 1 ? '1 problem' : `${issues.length} problems`
  const summary = issues.length === 0 ? paint('green', `${count}: no problems`) : paint('red', `${count}: ${problems}`)
  world.out.write(`${summary}
`)
  if (assumed.length > 0) world.err.write(assumedNote(assumed))
}
