import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { spawnCli } from '../support/spawned-cli.ts'
import { needs } from '../support/tools.ts'

let home: string
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'serve-systemd-'))
})
afterEach(() => rm(home, { recursive: true, force: true }))

const flags = ['--listen', '127.0.0.1:0', '--control', '127.0.0.1:0', '--json']

/** As systemd listens: datagrams on a Unix socket, which Node does not know. */
const listener = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound", flush=True)
while True:
    print(s.recv(4096).decode().replace("\\n", " "), flush=True)
`

it('systemd is told when the gateway serves, and when it stops', async (context) => {
  await needs(context, 'python3')
  await needs(context, 'systemd-notify')
  const path = join(home, 'notify.sock')
  const heard: string[] = []
  const systemd = spawn('python3', ['-c', listener, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  systemd.stdout.setEncoding('utf8').on('data', (text: string) => heard.push(text))
  try {
    await expect.poll(() => heard.join(''), { timeout: 10_000 }).toContain('bound')
    const serving = spawnCli(['serve', ...flags], { cwd: home, env: { NOTIFY_SOCKET: path } })
    await expect.poll(() => heard.join(''), { timeout: 15_000 }).toContain('READY=1')
    expect(heard.join('')).not.toContain('STOPPING')
    serving.child.kill('SIGTERM')
    expect(await serving.end).toMatchObject({ code: 0 })
    await expect.poll(() => heard.join(''), { timeout: 10_000 }).toContain('STOPPING=1')
  } finally {
    systemd.kill('SIGKILL')
  }
}, 40_000)

it('a systemd that cannot be told is a line of the log, and the gateway serves', async () => {
  const serving = spawnCli(['serve', ...flags, '--log-format', 'json'], {
    cwd: home,
    env: { NOTIFY_SOCKET: join(home, 'nobody.sock') },
  })
  await serving.says(/systemd was not told/)
  serving.child.kill('SIGTERM')
  expect(await serving.end).toMatchObject({ code: 0 })
})
