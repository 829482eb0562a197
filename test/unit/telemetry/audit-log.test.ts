import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { mkdtemp, rename, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { ExchangeRecord } from '../../../src/exchange/record.ts'
import { auditLine } from '../../../src/telemetry/audit-line.ts'
import { type AuditLog, type AuditLogOptions, createAuditLog } from '../../../src/telemetry/audit-log.ts'
import { recordAndLine, recordSample } from './record-sample.ts'

let folder: string
let file: string
let log: AuditLog | null = null

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'audit-'))
  file = join(folder, 'audit.jsonl')
})
afterEach(async () => {
  await log?.close()
  log = null
  await rm(folder, { recursive: true, force: true })
})

function start(changes: Partial<AuditLogOptions> = {}): AuditLog {
  log = createAuditLog({
    file,
    stdout: false,
    bytesMax: 1024 * 1024,
    filesMax: 3,
    queueBytesMax: 1024 * 1024,
    fsync: 'never',
    now: () => Date.parse('2026-03-01T13:00:00.000Z'),
    ...changes,
  })
  return log
}

function appendMany(to: AuditLog, from: number, count: number): void {
  for (let i = from; i < from + count; i++) to.append(...recordAndLine({ decisionId: `d-${i}` }))
}

function read(name: string): ExchangeRecord[] {
  const text = readFileSync(name, 'utf8')
  expect(text === '' || text.endsWith('\n')).toBe(true)
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as ExchangeRecord)
}

function ids(name: string): string[] {
  return read(name).map(({ decisionId }) => decisionId)
}

const numbered = (from: number, count: number): string[] => Array.from({ length: count }, (_, i) => `d-${from + i}`)

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !condition(); i++) await pause(10)
  expect(condition()).toBe(true)
}

it('a record is in the file within 100 ms, in a file that only we may read', async () => {
  start().append(...recordAndLine())
  await pause(100)
  expect(read(file)).toEqual([recordSample()])
  expect((await stat(file)).mode & 0o777).toBe(0o600)
})

it('accepts from the start, before anything was written', () => {
  expect(start().accepting()).toBe(true)
})

it('rotates by size and keeps the order across the files, the oldest thrown away', async () => {
  const lineBytes = auditLine(recordSample({ decisionId: 'd-10' })).length + 1
  const audit = start({ bytesMax: lineBytes * 4 + 10, filesMax: 2 })
  for (let i = 0; i < 20; i++) {
    appendMany(audit, 10 + i, 1)
    await audit.flush()
  }
  expect([`${file}.2`, `${file}.1`, file].flatMap((name) => ids(name))).toEqual(numbered(18, 12))
  expect(existsSync(`${file}.3`)).toBe(false)
  expect((await stat(file)).size).toBeLessThanOrEqual(lineBytes * 4 + 10)
})

it('a burst larger than a batch arrives whole and in order', async () => {
  const audit = start({ bytesMax: 64 * 1024 * 1024, queueBytesMax: 16 * 1024 * 1024 })
  appendMany(audit, 0, 3000)
  await audit.flush()
  expect(ids(file)).toEqual(numbered(0, 3000))
  expect(audit.stats()).toEqual({ dropped: 0, queuedBytes: 0, blocked: false })
})

it('a line longer than a batch and than the file may be is written nevertheless', async () => {
  const audit = start({ bytesMax: 1000 })
  audit.append(...recordAndLine({ path: `/${'x'.repeat(5000)}` }))
  audit.append(...recordAndLine({ decisionId: 'd-2' }))
  await audit.flush()
  expect([`${file}.1`, file].flatMap((name) => ids(name))).toEqual(['d-1', 'd-2'])
})

it('a full disk stops new work at once, keeps every line, and lets go when there is room again (LOG-05)', async () => {
  symlinkSync('/dev/full', file)
  const audit = start()
  expect(audit.accepting()).toBe(true)
  appendMany(audit, 0, 5)
  await audit.flush()
  expect(audit.accepting()).toBe(false)
  expect(audit.stats()).toMatchObject({ blocked: true, dropped: 0 })
  appendMany(audit, 5, 5)
  unlinkSync(file)
  await until(() => audit.accepting())
  expect(ids(file)).toEqual(numbered(0, 10))
  expect(audit.stats()).toEqual({ dropped: 0, queuedBytes: 0, blocked: false })
})

it('a folder that is gone and cannot be made again blocks; when it can be written again nothing was lost', async () => {
  const inner = join(folder, 'logs')
  const audit = start({ file: join(inner, 'audit.jsonl') })
  appendMany(audit, 0, 1)
  await audit.flush()
  rmSync(inner, { recursive: true })
  writeFileSync(inner, 'a file where the folder was')
  appendMany(audit, 1, 2)
  await audit.flush()
  expect(audit.accepting()).toBe(false)
  rmSync(inner)
  mkdirSync(inner)
  await audit.flush()
  expect(audit.accepting()).toBe(true)
  expect(ids(join(inner, 'audit.jsonl'))).toEqual(['d-1', 'd-2'])
})

it('a folder that cannot be made at the start blocks from the start, and recovers without a record to write', async () => {
  const inner = join(folder, 'logs')
  writeFileSync(inner, '')
  const audit = start({ file: join(inner, 'audit.jsonl') })
  expect(audit.accepting()).toBe(false)
  rmSync(inner)
  await audit.flush()
  expect(audit.accepting()).toBe(true)
  expect(ids(join(inner, 'audit.jsonl'))).toEqual([])
})

it('a file that a log rotator moved away is opened anew', async () => {
  const audit = start()
  appendMany(audit, 0, 1)
  await audit.flush()
  await rename(file, join(folder, 'moved'))
  appendMany(audit, 1, 1)
  await audit.flush()
  expect([ids(join(folder, 'moved')), ids(file)]).toEqual([['d-0'], ['d-1']])
})

it('a queue over its bound accepts nothing new, sums refusals up, and still takes what runs already', async () => {
  symlinkSync('/dev/full', file)
  const audit = start({ queueBytesMax: 4000 })
  while (audit.accepting()) appendMany(audit, 0, 1)
  const kept = audit.stats().queuedBytes
  for (let i = 0; i < 1000; i++)
    audit.append(
      ...recordAndLine({
        outcome: 'deny',
        reason: 'decision_unavailable',
        host: `h${i}.example`,
        repeated: 1 + (i % 2),
      }),
    )
  expect(audit.stats().queuedBytes).toBe(kept)
  audit.append(...recordAndLine({ decisionId: 'd-last' }))
  await audit.flush()
  unlinkSync(file)
  await audit.flush()
  expect(audit.accepting()).toBe(true)
  await audit.flush()
  const [summed] = read(file).filter(({ outcome }) => outcome === 'deny')
  expect(summed).toMatchObject({ repeated: 1500, host: null, path: null, reason: 'decision_unavailable' })
  expect(ids(file)).toContain('d-last')
  expect(audit.stats().dropped).toBe(0)
})

it('what is beyond the reserve is dropped and counted, never kept without bound', async () => {
  symlinkSync('/dev/full', file)
  const audit = start({ queueBytesMax: 4000 })
  appendMany(audit, 0, 1000)
  expect(audit.stats().queuedBytes).toBeLessThanOrEqual(8000)
  expect(audit.stats().dropped).toBeGreaterThan(900)
})

it('the last line of a killed process is ended, and what it left open is closed as interrupted', async () => {
  const open = recordSample({ event: 'open', decisionId: 'd-open', outcome: 'allow' })
  const lines = [
    auditLine(recordSample({ event: 'open', decisionId: 'd-done' })),
    auditLine(open),
    auditLine(recordSample({ decisionId: 'd-done' })),
    '{"event":"final","decisionId":"d-torn","ti',
  ]
  writeFileSync(file, lines.join('\n'))
  const audit = start()
  appendMany(audit, 1, 1)
  await audit.flush()
  const text = readFileSync(file, 'utf8').split('\n')
  expect(text.slice(0, 4)).toEqual(lines)
  expect(JSON.parse(text[4] ?? '')).toMatchObject({ decisionId: 'd-open', event: 'final', outcome: 'interrupted' })
  expect(JSON.parse(text[5] ?? '')).toMatchObject({ decisionId: 'd-1', outcome: 'allow' })
  await audit.close()
  await start().close()
  expect(readFileSync(file, 'utf8').match(/interrupted/g)).toHaveLength(1)
})

it('an exchange opened before a rotation and ended after it is not interrupted; one never ended is', async () => {
  const open = (decisionId: string) => auditLine(recordSample({ event: 'open', decisionId }))
  writeFileSync(`${file}.1`, `${open('d-a')}\n${open('d-b')}\n`)
  writeFileSync(file, `${auditLine(recordSample({ decisionId: 'd-a' }))}\n`)
  await start().close()
  expect(read(file).map(({ decisionId, outcome }) => `${decisionId} ${outcome}`)).toEqual([
    'd-a allow',
    'd-b interrupted',
  ])
})

it('fsync always: a flushed record was handed to the disk, and order holds', async () => {
  const audit = start({ fsync: 'always' })
  appendMany(audit, 0, 20)
  await audit.flush()
  appendMany(audit, 20, 20)
  await audit.flush()
  expect(ids(file)).toEqual(numbered(0, 40))
})

it('closing writes what is queued, and a closed log accepts nothing', async () => {
  const audit = start()
  appendMany(audit, 0, 3)
  await audit.close()
  expect(ids(file)).toEqual(numbered(0, 3))
  expect(audit.accepting()).toBe(false)
})
