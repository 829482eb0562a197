/**
 * For a client that knows no proxies: each connection to the port becomes a tunnel through the proxy to the target.
 * Arguments: port, port of the proxy, `user:password` or nothing, target.
 */

import net from 'node:net'

const [port, proxyPort, auth, target] = process.argv.slice(2)
const proof = auth === '' ? '' : `Proxy-Authorization: Basic ${Buffer.from(auth ?? '').toString('base64')}\r\n`
net
  .createServer({ noDelay: true, pauseOnConnect: true }, (client) => {
    const proxy = net.connect({ host: '127.0.0.1', port: Number(proxyPort), noDelay: true })
    proxy.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${proof}\r\n`)
    proxy.once('data', (answer) => {
      if (!/^HTTP\/1\.[01] 200 /.test(answer.toString('latin1'))) {
        process.stderr.write(answer)
        client.destroy()
      } else client.pipe(proxy).pipe(client)
    })
    client.on('error', () => proxy.destroy()).on('close', () => proxy.destroy())
    proxy.on('error', () => client.destroy()).on('close', () => client.destroy())
  })
  .listen(Number(port), '127.0.0.1', 4096)
