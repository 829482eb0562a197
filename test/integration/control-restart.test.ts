/** What was said over the API is so after a restart: sessions, keys of creates, policies and their versions. */

import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startRealGateway } from '../support/real-clients.ts'
import { createTestCa } from '../support/test-ca.ts'

let directory = ''
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sallyport-restart-'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

async function start() {
  const rules = [{ host: 'a.test' }]
  const { gateway } = await startRealGateway({
    directory,
    policies: { filed: rules },
    hosts: [],
    originCa: createTestCa().certificate,
  })
  const token = (await readFile(gateway.adminTokenPath ?? '', 'utf8')).trim()
  const call = async (method: string, path: string, body?: object, headers: Readonly<Record<string, string>> = {}) => {
    const response = await fetch(`http://${gateway.control}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    const said = JSON.parse(text === '' ? '{}' : text) as Readonly<Record<string, unknown>>
    return { status: response.status, etag: response.headers.get('etag'), body: said }
  }
  return { call, stop: () => gateway.stop() }
}

it('each of them, and a condition on a version from before holds for what had it', async () => {
  const put = (host: string) => ({ rules: [{ host }] })
  const wish = { policy: 'made', labels: { team: 'a' } }
  const before = await start()
  await before.call('PUT', '/v1/policies/made', put('1.test'))
  expect((await before.call('PUT', '/v1/policies/made', put('2.test'))).etag).toBe('"2"')
  const kept = await before.call('POST', '/v1/sessions', wish, { 'idempotency-key': 'kept' })
  const ended = await before.call('POST', '/v1/sessions', wish, { 'idempotency-key': 'ended' })
  expect((await before.call('DELETE', `/v1/sessions/${String(ended.body['id'])}`)).status).toBe(204)
  await before.stop()

  const { call, stop } = await start()
  expect(await call('GET', '/v1/policies/made')).toMatchObject({ etag: '"2"', body: { document: put('2.test') } })
  expect((await call('GET', '/v1/policies/filed')).etag).toBe('"1"')
  expect((await call('PUT', '/v1/policies/made', put('3.test'), { 'if-match': '"1"' })).status).toBe(412)
  const shown = await call('GET', '/v1/sessions')
  expect(shown.body['sessions']).toMatchObject([{ id: kept.body['id'], policyVersion: 2, labels: { team: 'a' } }])
  const again = await call('POST', '/v1/sessions', wish, { 'idempotency-key': 'kept' })
  expect([again.status, again.body['id']]).toEqual([201, kept.body['id']])
  expect((await call('POST', '/v1/sessions', wish, { 'idempotency-key': 'ended' })).body['code']).toBe(
    'idempotency_conflict',
  )
  const other = await call('POST', '/v1/sessions', { policy: 'filed' }, { 'idempotency-key': 'ended' })
  expect([other.status, other.body['code']]).toEqual([422, 'idempotency_mismatch'])
  expect((await call('PUT', '/v1/policies/made', put('3.test'), { 'if-match': '"2"' })).etag).toBe('"3"')
  await stop()
})
