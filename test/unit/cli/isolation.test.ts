import { describe, expect, test } from 'vitest'
import { findLauncher, whyForbidden } from '../../../src/cli/isolation-launcher.ts'
import { type IsolationFacts, type Mount, planIsolation } from '../../../src/cli/isolation-plan.ts'

const usual: IsolationFacts = {
  isRoot: false,
  cwd: '/home/u/project',
  home: '/home/u',
  meeting: ['/run', '/tmp', '/var/tmp', '/run/user/1000'],
  needed: ['/usr/lib/node_modules/sallyport', '/usr/bin/node'],
  secretFolders: ['/home/u/.ssh', '/home/u/.local/state/sallyport'],
  secretFiles: ['/home/u/.netrc'],
  sockets: ['/run/docker.sock', '/home/u/project/db.sock', '/tmp/ssh-1/agent'],
  rootStores: ['/etc/ssl/certs/ca-certificates.crt'],
  runtimeDirectory: '/run/user/1000',
  gateway: { directory: '/tmp/run-1', publicDirectory: '/tmp/run-1/public', socket: '/tmp/run-1/proxy.sock' },
}

/** A line each. */
function plan(facts: Partial<IsolationFacts> = {}): string[] | string {
  const mounts = planIsolation({ ...usual, ...facts })
  return typeof mounts === 'string' ? mounts : mounts.map(lineOf)
}

function lineOf(mount: Mount): string {
  if (mount.kind === 'root') return `root ${mount.isWritable ? 'rw' : 'ro'}`
  if (mount.kind !== 'bind') return `${mount.kind} ${mount.path}`
  const from = mount.from === mount.path ? '' : ` of ${mount.from}`
  return `${mount.isWritable ? 'rw' : 'ro'} ${mount.path}${from}`
}

const ours = [
  'ro /run/sallyport of /tmp/run-1/public',
  'rw /run/sallyport.sock of /tmp/run-1/proxy.sock',
  'ro /etc/ssl/certs/ca-certificates.crt of /tmp/run-1/public/bundle.pem',
  'empty /run/user/1000',
]

describe('what an isolated command sees', () => {
  test('empties where programs meet, hides secrets and sockets, and puts the CA in its place', () => {
    expect(plan()).toEqual([
      'root rw',
      'empty /run',
      'empty /tmp',
      'empty /var/tmp',
      'empty /home/u/.ssh',
      'empty /home/u/.local/state/sallyport',
      'nothing /home/u/.netrc',
      'nothing /home/u/project/db.sock',
      ...ours,
    ])
  })

  test('its folder stays where that lies in an emptied one, without the secrets and sockets in it', () => {
    const found = plan({ cwd: '/tmp/p', sockets: ['/tmp/p/db.sock', '/tmp/x'], secretFolders: ['/tmp/p/.aws'] })
    expect(found).toEqual([
      'root rw',
      'empty /run',
      'empty /tmp',
      'empty /var/tmp',
      'rw /tmp/p',
      'empty /tmp/p/.aws',
      'nothing /home/u/.netrc',
      'nothing /tmp/p/db.sock',
      ...ours,
    ])
  })

  test('what runs it stays, and cannot be written by that', () => {
    expect(plan({ needed: ['/tmp/sp', '/tmp/node'] })).toEqual(expect.arrayContaining(['ro /tmp/sp', 'ro /tmp/node']))
    const nested = plan({ needed: ['/tmp/sp'], cwd: '/tmp/sp/test' })
    expect(nested.indexOf('ro /tmp/sp')).toBeLessThan(nested.indexOf('rw /tmp/sp/test'))
    expect(plan({ needed: ['/tmp/p/sp'], cwd: '/tmp/p' })).not.toContain('ro /tmp/p/sp')
  })

  test('the state of the gateway is hidden wherever temporary files are', () => {
    const directory = '/home/u/tmp/run-1'
    const gateway = { directory, publicDirectory: `${directory}/public`, socket: `${directory}/proxy.sock` }
    expect(plan({ gateway })).toContain(`empty ${directory}`)
  })

  test('root, who may write everything, writes only its own folders', () => {
    const found = plan({ isRoot: true, home: '/root', cwd: '/srv/p' })
    expect(found.slice(0, 6)).toEqual([
      'root ro',
      'empty /run',
      'empty /tmp',
      'empty /var/tmp',
      'rw /srv/p',
      'rw /root',
    ])
    expect(plan({ isRoot: true, home: '/', cwd: '/' })).not.toContain('rw /')
  })

  test.each([
    ['/tmp', /^\/tmp is empty for an isolated command/],
    ['/home/u/.ssh', /^\/home\/u\/\.ssh is hidden/],
    ['/home/u/.ssh/keys', /^\/home\/u\/\.ssh is hidden/],
  ])('a command that would not find itself is not run: %s', (cwd, said) => {
    expect(plan({ cwd })).toMatch(said)
  })

  test('a name that only begins alike is another one', () => {
    expect(plan({ cwd: '/tmpfoo/p', secretFolders: [] })).not.toContain('rw /tmpfoo/p')
  })
})

describe('where it cannot be', () => {
  test('another system is told of containers', async () => {
    await expect(findLauncher('darwin', false)).rejects.toThrow(/needs the namespaces of Linux.*container/)
  })

  test.each([
    [{ 'user/max_user_namespaces': '0' }, 'sysctl user.max_user_namespaces='],
    [{ 'kernel/unprivileged_userns_clone': '0' }, 'sysctl kernel.unprivileged_userns_clone=1'],
    [{ 'kernel/apparmor_restrict_unprivileged_userns': '1' }, '/etc/apparmor.d'],
    [{}, 'docker/compose.yaml'],
  ])('the kernel that forbids it says why: %o', (settings: Readonly<Record<string, string>>, fix) => {
    const told = whyForbidden('bwrap: No permissions', (name) => settings[name] ?? null)
    expect(told).toContain('(bwrap: No permissions)')
    expect(told).toContain(fix)
  })
})
