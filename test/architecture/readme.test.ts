/** README.md's tables equal the tables of the code, both ways. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { problems } from '../../src/control/problem.ts'
import { denyReasons } from '../../src/policy/deny-reason.ts'
import { metricsTable } from '../../src/telemetry/metrics-table.ts'
import { root } from './source-files.ts'

const readme = readFileSync(join(root, 'README.md'), 'utf8')

/** Rows of the first table under the heading: what the first cell names in backticks, and the other cells. */
function tableUnder(heading: string): Map<string, string[]> {
  const section = readme.split(/^## /m).find((one) => one.startsWith(`${heading}\n`)) ?? ''
  const rows = section.split('\n').filter((line) => line.startsWith('|'))
  return new Map(
    rows.flatMap((row) => {
      const cells = row.split(/(?<!\\)\|/).slice(1, -1)
      const [name] = /(?<=`)\w+/.exec(cells[0] ?? '') ?? []
      return name === undefined ? [] : [[name, cells.slice(1).map((cell) => cell.trim())]]
    }),
  )
}

describe('Why was I refused', () => {
  const table = tableUnder('Why was I refused')
  it('names every reason for which we refuse, and none that we do not have', () => {
    expect([...table.keys()].sort()).toEqual(Object.keys(denyReasons).sort())
  })

  it.each(Object.entries(denyReasons))('gives %s its status', (reason, { status }) => {
    expect(table.get(reason)).toContain(String(status))
  })
})

describe('Metrics', () => {
  const table = tableUnder('Metrics')
  it('names every metric, and none that we do not have', () => {
    expect([...table.keys()].sort()).toEqual(Object.keys(metricsTable).sort())
  })

  it.each(Object.entries(metricsTable))('gives %s its labels', (name, { labels }) => {
    const row = (table.get(name) ?? []).join(' ')
    for (const label of labels) expect(row).toContain(label)
  })
})

describe('Problems of the control API', () => {
  const table = tableUnder('Problems of the control API')
  it('names every problem, and none that we do not have', () => {
    expect([...table.keys()].sort()).toEqual(Object.keys(problems).sort())
  })

  it.each(Object.entries(problems))('gives %s its status and title', (code, { status, title }) => {
    expect(table.get(code)).toEqual([String(status), title])
  })
})
