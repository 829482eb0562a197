/** `sallyport policy test FILE…`: policies against the expectations in their own files. */

import { runPolicyTests, type TestRow } from '../../policy/policy-tests.ts'
import { type AddCommand, examples } from '../command.ts'
import { columns, type Paint, paintFor, visible } from '../paint.ts'
import { assumedNote, compileFiles, issuesText } from '../policy-files.ts'
import { Complaint, type World } from '../world.ts'

type Options = { readonly config?: string; readonly json?: true }
type Tested = { readonly policy: string; readonly rows: readonly TestRow[] }

export const addTest: AddCommand = (policy, world, exitWith) => {
  policy
    .command('test')
    .description('Policies against the expectations under "tests:" in their files. Exit 1 on a mismatch.')
    .argument('<file...>', 'policy files; they may extend each other and the shipped policies')
    .option('--config <file>', 'take policies and credentials of this configuration too')
    .option('--json', 'print the rows as JSON')
    .addHelpText('after', examples('sallyport policy test policies/*.yaml'))
    .action(async (files: string[], options: Options) => exitWith(await test(files, options, world)))
}

async function test(files: readonly string[], options: Options, world: World): Promise<number> {
  const compiled = await compileFiles(files, options, world)
  if (compiled.kind === 'issues') throw new Complaint(issuesText(compiled.issues))
  const tested = compiled.sources.map(({ name, tests }): Tested => {
    const policy = compiled.book.get(name)
    if (policy === null) throw new Error(`${name} was compiled and is not there`)
    return { policy: name, rows: runPolicyTests(policy, tests) }
  })
  if (options.json === true) world.out.write(`${JSON.stringify(tested, null, 2)}\n`)
  else tell(tested, compiled.assumed, world)
  return tested.every(({ rows }) => rows.every(({ passed }) => passed)) ? 0 : 1
}

function tell(tested: readonly Tested[], assumed: readonly string[], world: World): void {
  const paint = paintFor(world.out, world.env)
  for (const { policy, rows } of tested) {
    world.out.write(`${paint('bold', policy)}\n`)
    const cells = rows.map((row) => [row.passed ? '  ok' : '  FAIL', visible(row.text), told(row)])
    world.out.write(rows.length === 0 ? '  no tests: add some under "tests:"\n' : columns(cells, painted(rows, paint)))
  }
  const rows = tested.flatMap((one) => one.rows)
  const failed = rows.filter(({ passed }) => !passed).length
  const summary = `${rows.length} expectations, ${failed} not met`
  world.out.write(`${paint(failed === 0 ? 'green' : 'red', summary)}\n`)
  if (assumed.length > 0) world.err.write(assumedNote(assumed))
}

function told(row: TestRow): string {
  const got = `${row.verdict}${row.reason === null ? '' : ` (${row.reason})`}${row.rule === null ? '' : ` by ${row.rule}`}`
  if (row.passed) return got
  return `${got}; expected ${row.expected}${row.because === null ? '' : ` because ${row.because}`}`
}

function painted(rows: readonly TestRow[], paint: Paint) {
  return (cell: string, line: number, column: number): string =>
    column === 0 ? paint(rows[line]?.passed === true ? 'green' : 'red', cell) : cell
}
