/** How much memory does an idle tunnel hold, beside a raw relay? KiB of resident memory per tunnel, 5 000 of them open. */

import { createWorld, type Proxy, print, tlsTarget } from './bench-world.ts'

const tunnels = 5000
const world = await createWorld()
try {
  const figures: Record<string, number> = {}
  const proxies: Proxy[] = [await world.gateway({ policy: 'tunnel' }), await world.relay()]
  for (const proxy of proxies) {
    // Once to fill the heap's free space, so that the second round shows what tunnels hold and not what a young heap grows by.
    const args = [
      '--mode',
      'hold',
      '--style',
      'connect',
      '--tls',
      '--target',
      tlsTarget,
      '--conc',
      String(tunnels),
      '--secs',
      '4',
      '--warm',
      '1',
    ]
    const measure = await world.load(proxy, args)
    figures[proxy.name] = Number(((measure.rss1_kb - measure.rss0_kb) / tunnels).toFixed(1))
  }
  print('KiB of memory per idle tunnel', figures)
} finally {
  await world.close()
}
