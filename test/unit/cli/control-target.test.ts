import { describe, expect, test } from 'vitest'
import { parseControlTarget } from '../../../src/cli/control-client.ts'
import { ownCommand } from '../../../src/cli/own-command.ts'

describe('where the control API is', () => {
  test.each([
    ['127.0.0.1:3180', { host: '127.0.0.1', port: 3180 }, true],
    ['localhost:3180', { host: 'localhost', port: 3180 }, true],
    ['[::1]:3180', { host: '::1', port: 3180 }, true],
    ['0.0.0.0:3180', { host: '127.0.0.1', port: 3180 }, true],
    ['[::]:3180', { host: '::1', port: 3180 }, true],
    ['gateway.example:3180', { host: 'gateway.example', port: 3180 }, false],
    ['127.0.0.1.example:3180', { host: '127.0.0.1.example', port: 3180 }, false],
    ['https://gateway.example', { host: 'gateway.example', port: 443 }, false],
    ['unix:/run/sallyport.sock', { socketPath: '/run/sallyport.sock' }, true],
  ])('%s', (written, options, isLocal) => {
    expect(parseControlTarget(written)).toMatchObject({ options, isLocal })
  })

  test.each([
    '',
    'nonsense',
    'gateway.example',
    'http://',
    'http://user@host:1',
    'http://host:1/path',
    'ftp://host:1',
    'unix:run',
    'host:99999',
  ])('%j is none', (written) => {
    expect(parseControlTarget(written)).toBeNull()
  })
})

describe('how this program was called', () => {
  test.each([
    ['installed for all', '/usr/bin/node', '/usr/local/bin/sallyport', '/usr/bin:/usr/local/bin', 'sallyport'],
    [
      'installed in a project',
      '/usr/bin/node',
      '/p/node_modules/.bin/sallyport',
      '/p/node_modules/.bin',
      '/p/node_modules/.bin/sallyport',
    ],
    ['by npx', '/usr/bin/node', '/home/u/.npm/_npx/a1/node_modules/.bin/sallyport', '/bin', 'npx sallyport'],
    ['from source', '/opt/node', '/src/main.ts', '/bin', '/opt/node /src/main.ts'],
    ['from a folder with a space', '/opt/node', '/my src/main.ts', '/bin', "/opt/node '/my src/main.ts'"],
  ])('%s', (_name, execPath, script, PATH, expected) => {
    expect(ownCommand(execPath, script, { PATH })).toBe(expected)
  })
})
