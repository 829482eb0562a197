/** `sallyport policy explain`: the verdict on one request, the rule that decided, and why nearer ones did not match. */

import { InvalidArgumentError, Option } from 'commander'
import { type Explanation, explainRequest, parseQuestion } from '../../policy/explain.ts'
import type { Mode } from '../../policy/policy.ts'
import { type AddCommand, examples } from '../command.ts'
import { columns, paintFor, visible } from '../paint.ts'
import { findPolicy } from '../policy-files.ts'
import { misuse, type World } from '../world.ts'

type Options = {
  readonly policy: string
  readonly method?: string
  readonly mode?: Mode
  readonly config?: string
  readonly json?: true
}

/** As `policy check` and the proxy have it: what is not allowed is 3, so that scripts can tell it from a failure. */
const exitDenied = 3

export const addExplain: AddCommand = (policy, world, exitWith) => {
  policy
    .command('explain')
    .description(
      'The verdict on one request, the rule that decided, and why nearer ones did not. Exit 0 allowed, 3 denied.',
    )
    .argument('<url>', 'http, https, ws or wss; with a method before it if you like: "POST https://host/path"')
    .requiredOption('--policy <policy>', 'a policy by its name, or a file')
    .option('--method <method>', 'default: GET', upperCase)
    .addOption(
      new Option('--mode <mode>', 'judge in this mode, whatever the policy says').choices(['enforce', 'audit']),
    )
    .option('--config <file>', 'take policies and credentials of this configuration too')
    .option('--json', 'print the explanation as JSON')
    .addHelpText(
      'after',
      examples(
        'sallyport policy explain --policy github-read https://github.com/git/git/info/refs?service=git-upload-pack',
        'sallyport policy explain --policy ./dev.yaml --method POST https://api.example.org/v1/items',
      ),
    )
    .action(async (url: string, options: Options) => exitWith(await explain(url, options, world)))
}

async function explain(url: string, options: Options, world: World): Promise<number> {
  const text = options.method === undefined ? url : `${options.method} ${url}`
  const question = parseQuestion(text)
  if (typeof question === 'string') throw misuse(`"${visible(text)}" ${question}; write https://host/path`)
  const { policy } = await findPolicy(options.policy, options, world)
  const grant = { policy, mode: options.mode ?? policy.mode, placeholders: new Map<string, string>() }
  const explanation = explainRequest(grant, question)
  if (options.json === true)
    world.out.write(`${JSON.stringify({ policy: policy.name, request: text, ...explanation }, null, 2)}\n`)
  else tell(explanation, world)
  return explanation.verdict === 'deny' ? exitDenied : 0
}

function tell(explanation: Explanation, world: World): void {
  const paint = paintFor(world.out, world.env)
  const { verdict, rule, reason, says, route, misses } = explanation
  const style = verdict === 'allow' ? 'green' : verdict === 'audit' ? 'yellow' : 'red'
  const facts: (readonly string[])[] = [
    ['rule', rule ?? 'none decided'],
    ...(reason === null ? [] : [['reason', reason]]),
    ...(route === null ? [] : [['route', route]]),
  ]
  world.out.write(
    `${paint(style, says)}\n${columns(facts, (cell, _row, column) => (column === 0 ? paint('dim', cell) : cell))}`,
  )
  if (misses.length === 0) return
  const rows = misses.map((miss) => [`  ${miss.rule}`, `${miss.action} ${miss.host}`, visible(miss.why)])
  world.out.write(`\nRules that came near:\n${columns(rows)}`)
}

function upperCase(method: string): string {
  if (!/^[A-Za-z]+$/.test(method)) throw new InvalidArgumentError('write a method such as POST.')
  return method.toUpperCase()
}
