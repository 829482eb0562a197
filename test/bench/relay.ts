/** The yardstick: the least a CONNECT relay in Node can do. No policy, no parsing beyond the CONNECT line. */

import net from 'node:net'

net
  .createServer({ noDelay: true }, (client) => {
    client.on('error', () => client.destroy())
    client.once('data', (bytes) => {
      const target = /^CONNECT ([^\s:]+):(\d+) /.exec(bytes.toString('latin1', 0, 300))
      if (target === null) return void client.destroy()
      client.pause()
      const origin = net.connect({ host: '127.0.0.1', port: Number(target[2]), noDelay: true }, () => {
        client.write('HTTP/1.1 200 OK\r\n\r\n')
        client.pipe(origin)
        origin.pipe(client)
      })
      origin.on('error', () => client.destroy())
      origin.on('close', () => client.destroy())
      client.on('close', () => origin.destroy())
    })
  })
  .listen(Number(process.argv[2]), '127.0.0.1', 4096)
