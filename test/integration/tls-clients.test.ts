import { execFile, type ExecFileException } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Host, parseHost } from '../../src/net/host.ts'
import { createIntercept, type Intercept } from '../../src/tls/intercept.ts'
import { createLeafCache } from '../../src/tls/leaf-cache.ts'
import type { SigningCa } from '../../src/tls/signing-ca.ts'
import { interceptingServer } from '../support/intercepting-server.ts'
import { temporaryCa } from '../support/temporary-ca.ts'
import { needs } from '../support/tools.ts'

type Made = { ca: SigningCa; caFile: string; directory: string; intercept: Intercept }
type Target = { port: number; host: string; caFile: string; directory: string }
type Client = { readonly tool: string; readonly args: (target: Target) => string[]; readonly input?: string }

let made: Made
beforeAll(async () => {
  const world = await temporaryCa()
  const limits = { leavesMax: 100, deniedLeavesMax: 10, deniedPerSecondMax: 10 }
  const leaves = createLeafCache(world.ca, { ...limits, now: () => new Date() })
  made = { ...world, intercept: createIntercept({ leaves, handshakeTimeoutMs: 10_000 }) }
  await writeFile(join(world.directory, 'client.py'), pythonClient)
  await writeFile(join(world.directory, 'client.go'), goClient)
})

const host = (text: string): Host => parseHost(text) ?? expect.fail(`${text} is a host`)
const long = `${'a'.repeat(40)}.${'b'.repeat(40)}.test`
const hosts = ['good.test', long, '127.0.0.1']
const request = (name: string): string => `GET / HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`

// VERIFY_X509_STRICT and VERIFY_X509_PARTIAL_CHAIN are what Python's default context sets from 3.13 on.
const pythonClient = `
import socket, ssl, sys
name, port, ca, strict = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4] == 'strict'
context = ssl.create_default_context()
context.load_verify_locations(ca)
if strict:
    context.verify_flags |= ssl.VERIFY_X509_STRICT | getattr(ssl, 'VERIFY_X509_PARTIAL_CHAIN', 0)
with socket.create_connection(('127.0.0.1', port)) as raw:
    with context.wrap_socket(raw, server_hostname=name) as tls:
        tls.sendall(('GET / HTTP/1.1\\r\\nHost: ' + name + '\\r\\nConnection: close\\r\\n\\r\\n').encode())
        while chunk := tls.recv(4096):
            sys.stdout.write(chunk.decode())
`

const goClient = `package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
)

func main() {
	pem, _ := os.ReadFile(os.Args[3])
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	connection, err := tls.Dial("tcp", "127.0.0.1:"+os.Args[2], &tls.Config{ServerName: os.Args[1], RootCAs: roots})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Fprintf(connection, "GET / HTTP/1.1\\r\\nHost: %s\\r\\nConnection: close\\r\\n\\r\\n", os.Args[1])
	text, _ := io.ReadAll(connection)
	fmt.Print(string(text))
}
`

const nodeClient = `
const [name, port, ca] = process.argv.slice(1)
const named = require('node:net').isIP(name) === 0 ? { servername: name } : {}
const roots = require('node:fs').readFileSync(ca)
const socket = require('node:tls').connect({ port, host: '127.0.0.1', ca: roots, ...named }, () => {
  socket.write('GET / HTTP/1.1\\r\\nHost: ' + name + '\\r\\nConnection: close\\r\\n\\r\\n')
})
socket.pipe(process.stdout)
`

const clients: Record<string, Client> = {
  curl: {
    tool: 'curl',
    args: ({ port, host, caFile }) => {
      const resolved = ['--connect-to', `${host}:${port}:127.0.0.1:${port}`, '--noproxy', '*']
      return ['-sS', '--http1.1', '--cacert', caFile, ...resolved, `https://${host}:${port}/`]
    },
  },
  Go: {
    tool: 'go',
    args: ({ port, host, caFile, directory }) => ['run', join(directory, 'client.go'), host, String(port), caFile],
  },
  GnuTLS: {
    tool: 'gnutls-cli',
    args: ({ port, host, caFile }) => {
      const name = /^[\d.]+$/.test(host)
        ? ['--verify-hostname', host]
        : ['--sni-hostname', host, '--verify-hostname', host]
      return ['--x509cafile', caFile, '--port', String(port), ...name, '127.0.0.1']
    },
    input: 'request',
  },
  Node: {
    tool: process.execPath,
    args: ({ port, host, caFile }) => ['-e', nodeClient, host, String(port), caFile],
  },
  OpenSSL: {
    tool: 'openssl',
    args: ({ port, host, caFile }) => {
      const ip = /^[\d.]+$/.test(host)
      const name = ip ? ['-noservername', '-verify_ip', host] : ['-servername', host, '-verify_hostname', host]
      const strict = ['-x509_strict', '-verify_return_error', '-quiet']
      return ['s_client', '-connect', `127.0.0.1:${port}`, '-CAfile', caFile, ...name, ...strict]
    },
    input: 'request',
  },
  Python: {
    tool: 'python3',
    args: ({ port, host, caFile, directory }) => [join(directory, 'client.py'), host, String(port), caFile, 'default'],
  },
  'Python, strictly': {
    tool: 'python3',
    args: ({ port, host, caFile, directory }) => [join(directory, 'client.py'), host, String(port), caFile, 'strict'],
  },
}

describe.each(Object.entries(clients))('%s accepts our leaf', (_name, client) => {
  it.for(hosts)('for %s', { timeout: 180_000 }, async (name, context) => {
    await needs(context, client.tool)
    await using server = await interceptingServer(made.intercept, host(name))
    const target = { port: server.port, host: name, caFile: made.caFile, directory: made.directory }
    const said = await run(client.tool, client.args(target), client.input === undefined ? null : request(name))
    expect(said).toContain(`hello from ${name}`)
    const named = /^[\d.]+$/.test(name) ? null : name
    expect(await server.next()).toMatchObject({ kind: 'open', serverName: named })
  })
})

describe('a leaf in a file', () => {
  it.for([...hosts, '[2001:db8::1]', '_under.good.test'])('verifies strictly for %s', async (name, context) => {
    await needs(context, 'openssl')
    const leaf = join(made.directory, 'leaf.pem')
    const wanted = host(name)
    await writeFile(leaf, made.ca.mint(wanted).certificate)
    const check = wanted.ip === null ? ['-verify_hostname', wanted.name] : ['-verify_ip', wanted.name]
    const strict = ['-x509_strict', '-purpose', 'sslserver', ...check]
    const said = await run('openssl', ['verify', ...strict, '-CAfile', made.caFile, leaf], null)
    expect(said).toContain('OK')
  })

  it('does not verify for another name', async (context) => {
    await needs(context, 'openssl')
    const leaf = join(made.directory, 'leaf.pem')
    await writeFile(leaf, made.ca.mint(host('good.test')).certificate)
    for (const check of [
      ['-verify_hostname', 'a.good.test'],
      ['-verify_hostname', 'test'],
      ['-verify_ip', '127.0.0.1'],
    ]) {
      expect(await run('openssl', ['verify', ...check, '-CAfile', made.caFile, leaf], null)).not.toMatch(/OK\n/)
    }
  })
})

/** What the program said on both outputs. `input` is written, and then left open: some clients leave when it ends. */
function run(tool: string, args: readonly string[], input: string | null): Promise<string> {
  return new Promise((resolve) => {
    const done = (_error: ExecFileException | null, out: string, problem: string): void => resolve(out + problem)
    const child = execFile(tool, args, { timeout: 120_000 }, done)
    child.stdin?.on('error', () => undefined)
    if (input === null) child.stdin?.end()
    else child.stdin?.write(input)
  })
}
