import { mkdtemp } from 'node:fs/promises'
import { request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ControlBench, createControlBench, secretOf } from '../unit/control/fixture.ts'

let api: ControlBench
beforeAll(async () => {
  api = await createControlBench()
})
afterAll(() => api.close())

type Raw = { readonly status: number; readonly code: string }

/** `fetch` sets Host and hides Origin; this sends what it is told. */
function send(method: string, path: string, headers: Record<string, string | string[]>, body = ''): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(api.url)
    const call = request({ hostname, port, method, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        const code = text.startsWith('{') ? (JSON.parse(text) as { code?: string }).code : undefined
        resolve({ status: response.statusCode ?? 0, code: code ?? '' })
      })
    })
    call.on('error', reject)
    call.end(body)
  })
}

function sendRaw(bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(api.url)
    const chunks: Buffer[] = []
    const socket = connect(Number(port), hostname, () => socket.end(bytes))
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()))
    socket.on('error', reject)
  })
}

const admin = `Bearer ${secretOf('platform')}`
const json = 'application/json'

describe('a control token', () => {
  const wrong: readonly (readonly [name: string, value: string])[] = [
    ['none', ''],
    ['another', 'Bearer platform-0123456789abcdeF'],
    ['a longer one', `${admin}x`],
    ['a shorter one', admin.slice(0, -1)],
    ['Basic', `Basic ${btoa(`x:${secretOf('platform')}`)}`],
    ['the bare secret', secretOf('platform')],
    ['two in one field', `${admin}, ${admin}`],
    ['a huge one', `Bearer ${'x'.repeat(4000)}`],
  ]
  it.each(wrong)('is needed: %s is 401 with a challenge', async (_name, authorization) => {
    const headers: Record<string, string> = authorization === '' ? {} : { authorization }
    const answer = await api.call('GET', '/v1/sessions', { headers })
    expect([answer.status, answer.body.code]).toEqual([401, 'unauthenticated'])
    expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="sallyport control"')
  })

  it('that is wrong is answered with 429 after so many in a minute, and one that is right as ever', async () => {
    const limited = await createControlBench({ tokenFailuresPerMinute: 3 })
    const wrongly = () => limited.call('GET', '/v1/sessions', { headers: { authorization: 'Bearer wrong' } })
    for (const status of [401, 401, 401, 429, 429]) expect((await wrongly()).status).toBe(status)
    const refused = await wrongly()
    expect([refused.body.code, refused.headers.get('retry-after')]).toEqual(['too_many_failures', '1'])
    expect((await limited.call('GET', '/v1/sessions')).status).toBe(401)
    expect((await limited.call('GET', '/v1/sessions', { as: 'viewer' })).status).toBe(200)
    expect((await limited.call('GET', '/healthz', { headers: { authorization: 'Bearer wrong' } })).status).toBe(200)
    await limited.close()
  })

  it('is taken in any case of the scheme', async () => {
    const headers = { authorization: `bearer ${secretOf('platform')}` }
    expect((await api.call('GET', '/v1/sessions', { headers })).status).toBe(200)
  })

  it('counts only in Authorization: not in the query, a cookie or Proxy-Authorization, and not twice', async () => {
    const secret = secretOf('platform')
    expect((await api.call('GET', `/v1/sessions?access_token=${secret}`)).status).toBe(401)
    expect((await api.call('GET', '/v1/sessions', { headers: { cookie: `token=${secret}` } })).status).toBe(401)
    expect((await api.call('GET', '/v1/sessions', { headers: { 'proxy-authorization': admin } })).status).toBe(401)
    const twice = await sendRaw(
      `GET /v1/sessions HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${admin}\r\nAuthorization: Bearer x\r\n\r\n`,
    )
    expect(twice).toMatch(/^HTTP\/1\.1 401 /)
  })

  const scopes: readonly (readonly [as: string, method: string, path: string, status: number])[] = [
    ['prometheus', 'GET', '/metrics', 200],
    ['platform', 'GET', '/metrics', 200],
    ['viewer', 'GET', '/metrics', 403],
    ['team-a', 'GET', '/metrics', 403],
    ['prometheus', 'GET', '/v1/sessions', 403],
    ['prometheus', 'GET', '/v1/decisions', 403],
    ['prometheus', 'GET', '/v1/policies', 403],
    ['viewer', 'GET', '/v1/sessions', 200],
    ['viewer', 'GET', '/v1/decisions', 200],
    ['viewer', 'GET', '/v1/policies', 200],
    ['viewer', 'POST', '/v1/sessions', 403],
    ['viewer', 'PATCH', '/v1/sessions/s-1', 403],
    ['viewer', 'DELETE', '/v1/sessions/s-1', 403],
    ['viewer', 'POST', '/v1/sessions/s-1/token', 403],
    ['viewer', 'GET', '/v1/openapi.json', 200],
  ]
  it.each(scopes)('of %s: %s %s is %i', async (as, method, path, status) => {
    const body = method === 'POST' || method === 'PATCH' ? { body: { policy: 'dev' } } : {}
    const answer = await api.call(method, path, { as, ...body })
    expect(answer.status).toBe(status)
    if (status === 403) expect(answer.body.code).toBe('scope_missing')
  })

  it('is asked for before it is told what exists', async () => {
    for (const path of ['/v1/nothing', '/v1/sessions/x/y', '/']) {
      expect((await api.call('GET', path)).status).toBe(401)
      expect((await api.call('GET', path, { as: 'viewer' })).status).toBe(404)
    }
  })
})

describe('a Host', () => {
  const cases: readonly (readonly [host: string, status: number])[] = [
    ['localhost', 200],
    ['LOCALHOST:3180', 200],
    ['127.0.0.1:1', 200],
    ['[::1]:3180', 200],
    ['sallyport.example', 200],
    ['sallyport.example.:80', 200],
    ['evil.example', 421],
    ['localhost.evil.example', 421],
    ['127.0.0.1.nip.io', 421],
    ['0.0.0.0:3180', 421],
    ['127.0.0.2', 421],
    ['127.1', 421],
    ['a@localhost', 421],
    ['localhost, evil.example', 421],
  ]
  it.each(cases)('"%s" is %i', async (host, status) => {
    const answer = await send('GET', '/v1/sessions', { host, authorization: admin })
    expect(answer.status).toBe(status)
    if (status === 421) expect(answer.code).toBe('host_not_served')
  })

  it('is the literal of the address that was reached, whatever was configured', async () => {
    const any = await createControlBench({ address: { host: '0.0.0.0', port: 0 } })
    const port = any.url.split(':').at(-1) ?? ''
    const ask = async (host: string): Promise<string> => {
      const socket = connect(Number(port), '127.0.0.9', () =>
        socket.end(`GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`),
      )
      let text = ''
      for await (const chunk of socket) text += String(chunk)
      return text.slice(9, 12)
    }
    expect([await ask('127.0.0.9'), await ask('127.0.0.8'), await ask('0.0.0.0')]).toEqual(['200', '421', '421'])
    await any.close()
  })

  it('is judged for probes too, and before the token', async () => {
    expect((await send('GET', '/healthz', { host: 'evil.example' })).status).toBe(421)
    expect((await send('GET', '/v1/sessions', { host: 'evil.example' })).status).toBe(421)
  })

  it('that is missing or there twice is 400', async () => {
    const twice = `GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n`
    expect(await sendRaw(twice)).toMatch(/^HTTP\/1\.1 400 /)
    expect(await sendRaw('GET /healthz HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
    expect(await sendRaw('GET /healthz HTTP/1.1\r\nHost:\r\n\r\n')).toMatch(/^HTTP\/1\.1 421 /)
  })
})

describe('a Unix socket', () => {
  it('is served like an address, and closed with the server', async () => {
    const path = join(await mkdtemp(join(tmpdir(), 'control-')), 'control.sock')
    const local = await createControlBench({ address: { path } })
    expect(local.server.address()).toBe(path)
    const ask = (host: string): Promise<number> =>
      new Promise((resolve, reject) => {
        const headers = { host, authorization: admin }
        const call = request({ socketPath: path, path: '/v1/sessions', headers, agent: false }, (response) => {
          response.resume()
          resolve(response.statusCode ?? 0)
        })
        call.on('error', reject)
        call.end()
      })
    expect([await ask('localhost'), await ask('evil.example')]).toEqual([200, 421])
    await local.close()
    await expect(ask('localhost')).rejects.toThrow()
  })
})

describe('a web page', () => {
  const host = 'localhost'
  it('changes nothing: a call with Origin is 403, even with a token', async () => {
    for (const origin of ['https://evil.example', 'null', 'http://localhost']) {
      const headers = { host, origin, authorization: admin, 'content-type': json }
      expect(await send('POST', '/v1/sessions', headers, '{"policy":"dev"}')).toEqual({
        status: 403,
        code: 'origin_refused',
      })
      expect((await send('DELETE', '/v1/sessions/s-1', headers)).status).toBe(403)
      expect((await send('OPTIONS', '/v1/sessions', headers)).status).toBe(403)
    }
  })

  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonp',
    'application/json; charset=utf-16',
  ])('cannot send a body as %s: 415', async (type) => {
    const headers = { host, authorization: admin, 'content-type': type }
    expect(await send('POST', '/v1/sessions', headers, '{"policy":"dev"}')).toEqual({
      status: 415,
      code: 'unsupported_media_type',
    })
    expect((await send('POST', '/v1/sessions/s-1/token', headers)).status).toBe(415)
  })

  it('cannot send a body without a type', async () => {
    const answer = await send('POST', '/v1/sessions', { host, authorization: admin }, '{"policy":"dev"}')
    expect([answer.status, answer.code]).toEqual([415, 'unsupported_media_type'])
  })

  it('reads nothing: there is no CORS, and the answers say what browsers may do with them', async () => {
    const answer = await api.call('GET', '/healthz', { headers: { origin: 'https://evil.example' } })
    expect(answer.headers.get('access-control-allow-origin')).toBeNull()
    expect(answer.headers.get('server')).toBeNull()
    expect(answer.headers.get('x-powered-by')).toBeNull()
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'")
  })
})

describe('a body', () => {
  const cases: readonly (readonly [name: string, raw: string, status: number, code: string])[] = [
    ['a name twice', '{"policy":"dev","policy":"model"}', 400, 'malformed_json'],
    ['a name twice, once escaped', String.raw`{"policy":"dev","\u0070olicy":"model"}`, 400, 'malformed_json'],
    ['__proto__', '{"policy":"dev","__proto__":{"mode":"audit"}}', 400, 'malformed_json'],
    ['constructor inside', '{"policy":{"constructor":{"prototype":{}}}}', 400, 'malformed_json'],
    ['no JSON', '{policy:dev}', 400, 'malformed_json'],
    ['a comment', '{"policy":"dev"/**/}', 400, 'malformed_json'],
    ['two values', '{"policy":"dev"}{}', 400, 'malformed_json'],
    ['deep nesting', `${'['.repeat(5000)}${']'.repeat(5000)}`, 400, 'malformed_json'],
    ['a list', '[]', 400, 'invalid_request'],
    ['null', 'null', 400, 'invalid_request'],
    ['too large', `{"policy":"${'x'.repeat(1024 * 1024)}"}`, 413, 'payload_too_large'],
  ]
  it.each(cases)('with %s is refused', async (_name, raw, status, code) => {
    const answer = await api.call('POST', '/v1/sessions', { as: 'platform', raw })
    expect([answer.status, answer.body.code]).toEqual([status, code])
  })

  it('that is not UTF-8 is refused', async () => {
    const head = `POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${admin}\r\nConnection: close\r\n`
    const socket = connect(Number(new URL(api.url).port), '127.0.0.1')
    const body = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])
    socket.write(`${head}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`)
    socket.write(body)
    const chunks: Buffer[] = []
    for await (const chunk of socket) chunks.push(chunk as Buffer)
    expect(Buffer.concat(chunks).toString()).toMatch(/^HTTP\/1\.1 400 [^]*malformed_json/)
  })
})

describe('what is not well-formed', () => {
  it('is a problem, from the first byte on', async () => {
    expect(await sendRaw('HELLO\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 [^]*urn:sallyport:problem:malformed_request/)
    const huge = `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`
    expect(await sendRaw(huge)).toMatch(/^HTTP\/1\.1 431 /)
    const smuggled = `POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`
    expect(await sendRaw(smuggled)).toMatch(/^HTTP\/1\.1 400 /)
  })

  it('as a path is a problem', async () => {
    const answer = await api.call('GET', '/v1/sessions/%zz', { as: 'platform' })
    expect([answer.status, answer.body.code]).toEqual([400, 'malformed_request'])
    const long = await api.call('GET', `/v1/sessions/${'x'.repeat(300)}`, { as: 'platform' })
    expect(long.status).toBe(404)
  })

  it('as a method is 405 and says which would do', async () => {
    const answer = await api.call('PUT', '/v1/sessions', { as: 'platform', body: {} })
    expect([answer.status, answer.body.code]).toEqual([405, 'method_not_allowed'])
    expect(answer.headers.get('allow')?.split(', ').toSorted()).toEqual(['GET', 'POST'])
  })
})

describe('a fault of ours', () => {
  it('is told as nothing but a fault, and logged', async () => {
    const broken = await createControlBench({
      metricsText: async () => Promise.reject(new Error('/etc/secret/path')),
    })
    const answer = await broken.call('GET', '/metrics', { as: 'prometheus' })
    expect([answer.status, answer.body.code]).toEqual([500, 'fault'])
    expect(answer.text).not.toMatch(/secret|\.ts|at /)
    expect(broken.logged).toHaveLength(1)
    await broken.close()
  })
})
