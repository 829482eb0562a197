import { expect, it } from 'vitest'
import { createLog, type LogLevel } from '../../../src/telemetry/log.ts'

function capture(format: 'json' | 'text', level: LogLevel = 'debug') {
  const lines: string[] = []
  return { lines, log: createLog({ level, format, write: (line) => lines.push(line) }) }
}

it('fields named like secrets are masked, also one level down', () => {
  const { lines, log } = capture('json')
  const canary = 'canary-0123456789'
  log.info(
    { token: canary, authorization: canary, fields: { 'proxy-authorization': canary, password: canary } },
    'hello',
  )
  expect(lines.join()).not.toContain(canary)
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 'info', msg: 'hello', token: '[secret]' })
})

it('of an error its type, code, message and stack are written, and nothing that hangs on it (SEC-16)', () => {
  const { lines, log } = capture('json')
  const error = Object.assign(new Error('refused'), {
    code: 'ECONNREFUSED',
    request: { head: 'canary' },
    cause: 'canary',
  })
  log.error({ error }, 'failed')
  const { error: written } = JSON.parse(lines[0] ?? '') as { error: object }
  expect(Object.keys(written)).toEqual(['type', 'code', 'message', 'stack'])
  expect(lines.join()).not.toContain('canary')
})

it('for people an entry is one line of time, level, message and fields, and moves no cursor', () => {
  const { lines, log } = capture('text')
  log.warn({ host: 'a\u001b[2J\u202e', error: new Error('x\ny') }, 'two\nlines\u009b')
  expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} warn {2}two\\u000alines\\u009b host="a\\u001b\[2J\\u202e" error=/)
  expect(lines[0]?.match(/\n/g)).toHaveLength(1)
})

it('what is below the level is not written', () => {
  const { lines, log } = capture('json', 'warn')
  log.info({}, 'quiet')
  log.debug({}, 'quiet')
  log.fatal({}, 'loud')
  expect(lines).toHaveLength(1)
})
