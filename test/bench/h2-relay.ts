/**
 * The yardstick of HTTP/2: the least a relay in Node can do that decrypts it. Each stream becomes one of the same origin, with
 * no policy, no record and nobody's credentials. Arguments: port, certificate, key, port of the origin.
 */

import { readFileSync } from 'node:fs'
import http2, { type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'

const [port, cert, key, originPort] = process.argv.slice(2)
http2
  .createSecureServer({ cert: readFileSync(cert ?? ''), key: readFileSync(key ?? '') })
  .on('session', (session) => {
    const origin = http2.connect(`https://127.0.0.1:${originPort}`, { rejectUnauthorized: false })
    origin.on('error', () => session.destroy())
    session.on('error', () => origin.destroy())
    session.on('close', () => origin.close())
    session.on('stream', (stream: ServerHttp2Stream, fields: IncomingHttpHeaders) => {
      const request = origin.request(fields, { endStream: stream.endAfterHeaders })
      let trailers: IncomingHttpHeaders = {}
      request.on('error', () => stream.destroy())
      stream.on('error', () => request.destroy())
      request.on('response', (answer) => {
        if (stream.destroyed) return
        const { 'content-length': length } = answer
        stream.respond(answer, { waitForTrailers: length === undefined })
        request.pipe(stream)
      })
      request.on('trailers', (some) => {
        trailers = some
      })
      stream.on('wantTrailers', () => stream.sendTrailers(trailers))
      if (!stream.endAfterHeaders) stream.pipe(request)
    })
  })
  .listen(Number(port), '127.0.0.1')
