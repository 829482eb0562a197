import { describe, expect, it } from 'vitest'
import { parseRequestHead } from '../../../src/net/request-head.ts'
import { acceptOf, type Handshake, parseHandshake, switchProblem } from '../../../src/net/websocket-handshake.ts'

const upgrade = ['Host', 'good.test', 'Connection', 'Upgrade', 'Upgrade', 'websocket']
const version = ['Sec-WebSocket-Version', '13']
const key = 'dGhlIHNhbXBsZSBub25jZQ=='

function parse(fields: readonly string[]): ReturnType<typeof parseHandshake> {
  const raw = { method: 'GET', target: 'http://good.test/', httpVersion: '1.1', fields: [...upgrade, ...fields] }
  const head = parseRequestHead(raw, { kind: 'proxy' })
  if ('kind' in head) throw new Error(head.detail)
  return parseHandshake(raw, head)
}

it('proves a key as RFC 6455 does', () => {
  expect(acceptOf(key)).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
})

describe('a handshake', () => {
  it('is a key, and what is offered', () => {
    const fields = ['Sec-WebSocket-Key', key, 'Sec-WebSocket-Protocol', 'a', 'sec-websocket-protocol', 'b,c']
    expect(parse([...version, ...fields])).toEqual({ kind: 'handshake', key, protocols: 'a, b,c', extensions: null })
  })

  it.each([
    '',
    'dGhlIHNhbXBsZSBub25jZQ=',
    'dGhlIHNhbXBsZSBub25jZQ',
    'dGhlIHNhbXBsZSBub25jZR==',
    'dGhlIHNhbXBsZSBub25jZQ==,x',
    'dGhlIHNhbXBsZSBub2-jZQ==',
    `${key}\t`,
  ])('with the key "%s" is none', (value) => {
    expect(parse([...version, 'Sec-WebSocket-Key', value])).toMatchObject({ kind: 'problem' })
  })

  it.each([[], ['Sec-WebSocket-Version', '8'], [...version, ...version], ['Sec-WebSocket-Version', '13, 8']])(
    'with version fields %j is none',
    (...fields) => {
      expect(parse([...fields.flat(), 'Sec-WebSocket-Key', key])).toMatchObject({ kind: 'problem' })
    },
  )
})

describe('a switch', () => {
  const asked: Handshake = { kind: 'handshake', key, protocols: 'a, Chat', extensions: null }
  const agreed = ['Upgrade', 'WebSocket', 'Sec-WebSocket-Accept', acceptOf(key)]

  it.each([[[]], [['Sec-WebSocket-Protocol', 'Chat']], [['Sec-WebSocket-Protocol', 'a']]])('with %j is one', (more) => {
    expect(switchProblem(asked, [...agreed, ...more])).toBeNull()
  })

  it.each([
    [['Sec-WebSocket-Protocol', 'chat']],
    [['Sec-WebSocket-Protocol', '']],
    [['Sec-WebSocket-Protocol', 'a', 'Sec-WebSocket-Protocol', 'a']],
    [['Sec-WebSocket-Extensions', 'permessage-deflate']],
    [['Upgrade', 'websocket']],
    [['Sec-WebSocket-Accept', acceptOf(key)]],
  ])('with %j is none', (more) => {
    expect(switchProblem(asked, [...agreed, ...more])).not.toBeNull()
  })

  it('passes an extension that was offered', () => {
    const offered = { ...asked, extensions: 'permessage-deflate' }
    expect(switchProblem(offered, [...agreed, 'Sec-WebSocket-Extensions', 'permessage-deflate'])).toBeNull()
  })
})
