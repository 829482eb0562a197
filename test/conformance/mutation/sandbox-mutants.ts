/** Walls of isolated runs, and attempts of `verify` at walls that are somebody else's. */

import type { Mutant } from './mutants.ts'

type Row = Pick<Mutant, 'from' | 'to' | 'without'> & Partial<Pick<Mutant, 'cases'>>

const plan = (row: Row): Mutant => ({
  file: 'cli/isolation-plan.ts',
  corpus: ['unit/cli/isolation.test.ts'],
  ...row,
})
const launcher = (row: Row): Mutant => ({
  file: 'cli/isolation-launcher.ts',
  corpus: ['integration/run-isolate.test.ts'],
  cases: 'nothing else out|hides keys|verify',
  ...row,
})
const attempts = (row: Row): Mutant => ({
  file: 'cli/sandbox-checks.ts',
  corpus: ['integration/container-walls.test.ts'],
  cases: 'verify',
  ...row,
})

const doctor = (row: Row): Mutant => ({ file: 'cli/client-wiring.ts', corpus: ['unit/cli/doctor.test.ts'], ...row })

export const sandboxMutants: readonly Mutant[] = [
  plan({
    without: 'emptied folders',
    from: "path): Mount => ({ kind: 'empty', path })),\n    ...needed",
    to: 'path) => bind(path, path, true)),\n    ...needed',
  }),
  plan({ without: 'hidden folders', from: 'outermost(secret.filter(isSeen))', to: 'outermost(secret.slice(0, 0))' }),
  plan({
    without: 'hidden files and sockets',
    from: '...[...new Set(gone)].map',
    to: '...[...new Set(gone)].slice(0, 0).map',
  }),
  plan({
    without: 'the secrets of a folder that stays',
    from: 'isSeen(path) && !isWithin(path, hidden)',
    to: '!isWithin(path, [...meeting, ...hidden])',
  }),
  plan({
    without: 'its own state',
    from: 'const secret = [...facts.secretFolders, gateway.directory]',
    to: 'const secret = [...facts.secretFolders]',
  }),
  plan({
    without: "a system that root's command cannot write",
    from: 'isWritable: !facts.isRoot',
    to: 'isWritable: true',
  }),
  plan({ without: 'whole names', from: "folder === '/' ? '/' : `${folder}/`", to: 'folder' }),
  plan({
    without: 'a program that its command cannot write',
    from: 'needed.map((path) => bind(path, path, false))',
    to: 'needed.map((path) => bind(path, path, true))',
  }),
  plan({ without: 'a folder to be in', from: 'if (meeting.includes(cwd))', to: 'if (meeting.length === 0)' }),
  launcher({
    without: 'a network of its own',
    from: "const apart = ['user', 'net', 'pid',",
    to: "const apart = ['user', 'pid',",
  }),
  launcher({
    without: 'processes of its own',
    from: "'net', 'pid', 'ipc', 'uts', 'cgroup-try'",
    to: "'net', 'ipc', 'uts', 'cgroup-try'",
  }),
  launcher({
    without: 'its mounts',
    from: '...mounts.flatMap(bubblewrapMount),',
    to: '...bubblewrapMount(mounts[0] ?? { kind: "root", isWritable: true }),',
  }),
  launcher({
    without: "settings that root's command cannot change",
    from: "...ownSystem, '--remount-ro', '/proc']",
    to: '...ownSystem]',
    cases: 'nothing of the system',
  }),
  doctor({ without: 'where the proxy is', from: "gateway === '' || env[name] !== gateway", to: "gateway === ''" }),
  doctor({
    without: 'trust in the CA',
    from: "trusts(env[name] ?? '') ?",
    to: "trusts(env[name] ?? '') || name !== '' ?",
  }),
  doctor({ without: 'variables that must say just this', from: 'env[name] !== value)', to: 'env[name] === null)' }),
  doctor({ without: 'the age of Node', from: 'return isAble ?', to: 'return isAble || number > 0 ?' }),
  {
    file: 'cli/child-environment.ts',
    without: 'what leads out',
    from: '...(isIsolated ? leadingOut : []),',
    to: '',
    corpus: ['integration/run-isolate.test.ts'],
    cases: 'hides keys',
  },
  {
    file: 'cli/isolation-script.ts',
    without: 'a loss of rights',
    from: 'unshare --user --map-user="$uid" --map-group="$gid" -- setpriv --no-new-privs -- "$@"',
    to: '"$@"',
    corpus: ['integration/run-isolate.test.ts'],
    cases: 'unshare.*nothing else out',
  },
  attempts({
    without: 'direct connections',
    from: '[tryTcp(address, 443, timeoutMs), tryTcp(address, 80, timeoutMs)]',
    to: '[]',
  }),
  attempts({ without: 'IPv6', from: '[tryTcp(address6, 443, timeoutMs)]', to: '[]' }),
  attempts({
    without: 'names',
    from: 'tryQuery(name, address, timeoutMs),\n      tryTcp(address, 53, timeoutMs),',
    to: '',
  }),
  attempts({ without: 'the control API', from: '[tryTcp(proxy.host, options.controlPort, timeoutMs)]', to: '[]' }),
  attempts({
    without: 'a gateway that only watches',
    from: "verdict: mode === 'enforce' ? 'ok' : 'open'",
    to: "verdict: 'ok'",
  }),
  attempts({
    without: "a refusal of the gateway's own",
    from: "return deniedBecause === null ? { wall, verdict: 'open', detail } :",
    to: 'return deniedBecause === null ? { wall, verdict: "ok", detail } :',
  }),
  attempts({
    without: 'files of the gateway',
    from: "readable.length === 0 ? 'ok' : 'open'",
    to: "readable.length === 0 ? 'ok' : 'ok'",
  }),
]
