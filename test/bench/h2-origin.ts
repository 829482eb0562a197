/** An origin of HTTP/2 that answers everything with 1 KiB. Arguments: port, certificate, key. */

import { readFileSync } from 'node:fs'
import http2, { type ServerHttp2Stream } from 'node:http2'

const [port, cert, key] = process.argv.slice(2)
const body = Buffer.alloc(1024, 'x')
http2
  .createSecureServer({ cert: readFileSync(cert ?? ''), key: readFileSync(key ?? '') })
  .on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => undefined)
    stream.respond({ ':status': 200, 'content-type': 'application/octet-stream', 'content-length': body.length })
    stream.end(body)
  })
  .listen(Number(port), '127.0.0.1')
