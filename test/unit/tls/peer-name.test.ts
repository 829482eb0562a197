import { describe, expect, it } from 'vitest'
import { peerNameOf, peerNamePattern } from '../../../src/tls/peer-name.ts'

const agent = 'spiffe://corp.example/ns/team-a/sa/agent-7'

describe('a client certificate', () => {
  it.each([
    ['one SPIFFE id', 'CN=agent-7', `URI:${agent}`, agent],
    ['a SPIFFE id among names', '', `DNS:a.test, URI:${agent}, IP Address:10.0.0.1`, agent],
    ['a common name', 'O=Corp\nCN=agent-7', undefined, 'CN=agent-7'],
    ['a common name, and names of hosts', 'CN=agent-7', 'DNS:a.test', 'CN=agent-7'],
    ['a common name with a space in it', 'CN=Agent 7', undefined, 'CN=Agent 7'],
    ['two URIs', 'CN=agent-7', `URI:${agent}, URI:${agent}`, null],
    ['a URI of something else', 'CN=agent-7', 'URI:https://corp.example/agent-7', null],
    ['a SPIFFE id without a path', 'CN=agent-7', 'URI:spiffe://corp.example', null],
    ['a SPIFFE id with dots for a segment', 'CN=agent-7', 'URI:spiffe://corp.example/a/../b', null],
    ['a SPIFFE id with an empty segment', 'CN=agent-7', 'URI:spiffe://corp.example/a//b', null],
    ['a SPIFFE id in capitals', 'CN=agent-7', 'URI:SPIFFE://corp.example/a', null],
    ['a SPIFFE id with a query', 'CN=agent-7', `URI:${agent}?x`, null],
    ['a name that Node had to quote', 'CN=agent-7', `DNS:"a.test, URI:${agent}"`, null],
    ['a SPIFFE id within a name that Node had to quote', 'CN=agent-7', `DNS:"a.test, URI:${agent}, DNS:b.test"`, null],
    ['two common names', 'CN=agent-7\nCN=agent-8', undefined, null],
    ['a common name with a line end in it', 'CN=agent-7\\0Ax', undefined, null],
    ['a common name of two spaces at its end', 'CN=agent-7 ', undefined, null],
    ['an empty common name', 'CN=', undefined, null],
    ['no name at all', 'O=Corp', undefined, null],
  ])('with %s', (_name, subject, subjectAltName, named) => {
    expect(peerNameOf({ subject, subjectAltName })).toBe(named)
    if (named !== null) expect(named).toMatch(new RegExp(peerNamePattern))
  })
})
