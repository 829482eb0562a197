import { describe, expect, it } from 'vitest'
import { socksVoice } from '../../../src/exchange/connect-voice.ts'
import type { Outcome } from '../../../src/exchange/outcome.ts'
import { deny } from '../../../src/policy/decision.ts'
import { type DenyReason, denyReasons } from '../../../src/policy/deny-reason.ts'
import { type FailureCode, failure, failures } from '../../../src/upstream/failure.ts'
import { factsOf } from './fixture.ts'

const refuse = (outcome: Outcome) => socksVoice().refuse(outcome, factsOf())
const codeOf = (outcome: Outcome): number | undefined => refuse(outcome)?.bytes[1]

describe('SOCKS', () => {
  it.each(Object.keys(denyReasons) as DenyReason[])('says %s with a code, and the record has its status', (reason) => {
    const { status } = denyReasons[reason]
    const refusal = refuse(deny(reason, 'operator only'))
    expect(refusal).toMatchObject({ status, last: true })
    const code = [403, 407, 421].includes(status) ? '02' : '01'
    expect(refusal?.bytes.toString('hex')).toBe(`05${code}0001000000000000`)
  })

  it.each(Object.keys(failures) as FailureCode[])('says %s as no refusal of ours', (code) => {
    expect(refuse(failure(code, null))).toMatchObject({ status: failures[code].status, last: true })
    expect([1, 3, 4, 5]).toContain(codeOf(failure(code, null)))
  })

  it.each([
    ['ECONNREFUSED', 5],
    ['EHOSTUNREACH', 4],
    ['ENETUNREACH', 3],
    ['EPERM', 5],
  ])('says %s with %i', (errno, code) => {
    expect(codeOf(failure('connect_failed', Object.assign(new Error(), { code: errno })))).toBe(code)
  })

  it('says a fault of ours, and nothing of it', () => {
    expect(refuse({ kind: 'fault', error: new Error('secret') })).toMatchObject({ status: 500 })
    expect(codeOf({ kind: 'fault', error: null })).toBe(1)
  })

  it('has nothing to say to a client that is gone', () => {
    expect(refuse({ kind: 'abandoned', detail: '' })).toBeNull()
  })

  it('says what the door says, where that is no reply to a request', () => {
    const says = Buffer.from([5, 0xff])
    expect(socksVoice(says).refuse(deny('malformed_request', ''), factsOf())).toMatchObject({
      bytes: says,
      status: 400,
    })
  })
})
