/** What a run did, for its end: a summary for people and a report for machines. Pure. */

import { bytesText } from './decision-line.ts'
import { columns, type Paint, visible } from './paint.ts'
import type { Group, RunResult } from './run-tally.ts'
import { rulesYaml, suggestRules } from './suggest-rules.ts'

/** More would push what matters off the screen; the report has all. */
const linesMax = 30

export function runSummary(result: RunResult, paint: Paint): string {
  const { allowed, denied, audited, failed, more } = result
  const total = (groups: readonly { readonly count: number }[]): number =>
    groups.reduce((sum, { count }) => sum + count, 0)
  if (total(allowed) + total(denied) + total(audited) + total(failed) === 0)
    return 'sallyport: nothing asked for the network\n'
  const { rules, without } = suggestRules([...denied, ...audited])
  const parts = [
    section(
      `allowed: ${total(allowed)}`,
      allowed.map(({ host, port, count, bytesUp, bytesDown }) => [
        `${count}x`,
        at(host, port),
        `${bytesText(bytesUp)} up, ${bytesText(bytesDown)} down`,
      ]),
      paint,
      'green',
    ),
    section(`denied: ${total(denied)}`, denied.map(groupRow), paint, 'red'),
    section(`let through by audit mode: ${total(audited)}`, audited.map(groupRow), paint, 'yellow'),
    section(`failed: ${total(failed)}`, failed.map(groupRow), paint, 'yellow'),
    more === 0 ? '' : `  and ${more} to other hosts and paths\n`,
    rules.length === 0
      ? ''
      : `${paint('bold', 'these lines under "rules:" of a policy would allow it:')}\n${rulesYaml(rules)}`,
    without.length === 0 || rules.length === 0 ? '' : `${paint('dim', `not in these lines: ${reasonsOf(without)}`)}\n`,
  ]
  return `${paint('bold', 'sallyport: what the command asked of the network')}\n${parts.join('')}`
}

export type RunFacts = {
  readonly command: readonly string[]
  readonly policies: readonly string[]
  readonly mode: string
  readonly session: string
  readonly startedAt: string
  readonly endedAt: string
  /** Of the command. */
  readonly exitCode: number
}

export function runReport(facts: RunFacts, result: RunResult): object {
  const { rules } = suggestRules([...result.denied, ...result.audited])
  return { version: 1, ...facts, ...result, suggestedRules: rules }
}

function section(
  title: string,
  rows: readonly (readonly string[])[],
  paint: Paint,
  style: Parameters<Paint>[0],
): string {
  if (rows.length === 0) return ''
  const shown = rows
    .slice(0, linesMax)
    .map((row) => row.map((cell, index) => `${index === 0 ? '  ' : ''}${visible(cell)}`))
  const more = rows.length > linesMax ? `  and ${rows.length - linesMax} more lines; --report has them all\n` : ''
  return `${paint(style, title)}\n${columns(shown)}${more}`
}

function groupRow({ scheme, host, port, method, path, reason, count }: Group): string[] {
  const target =
    method === null ? at(host, port) : `${method} ${scheme ?? 'https'}://${hostText(scheme, host, port)}${path ?? ''}`
  return [`${count}x`, target, reason ?? '']
}

function hostText(scheme: Group['scheme'], host: string, port: number | null): string {
  return port === null || port === (scheme === 'http' ? 80 : 443) ? host : `${host}:${port}`
}

function at(host: string, port: number | null): string {
  return port === null ? host : `${host}:${port}`
}

function reasonsOf(groups: readonly Group[]): string {
  return [...new Set(groups.map(({ host, reason }) => `${visible(host)} (${reason ?? 'unknown'})`))]
    .slice(0, linesMax)
    .join(', ')
}
