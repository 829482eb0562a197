/**
 * A cut: the connection is gone now, and what waited in a buffer does not go out after it (decision 28).
 *
 * Promises: it never throws, and a socket that is gone already is left alone. A Unix socket knows no reset; it is closed.
 */

import type net from 'node:net'

export function resetSocket(socket: net.Socket): void {
  // TLS over a socket that was just reset, destroyed once more from within one of its own reads, is a use after free in
  // Node 26. Once is enough.
  if (socket.destroyed) return
  // While our end of the stream is on its way out libuv refuses the reset, and Node 26 then takes the handle for closed:
  // the connection would stay open and the process never end.
  if (socket.writableEnded && !socket.writableFinished) {
    socket.destroy()
    return
  }
  try {
    socket.resetAndDestroy()
  } catch {
    socket.destroy()
  }
}
