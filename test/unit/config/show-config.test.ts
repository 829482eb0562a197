import { Ajv2020 } from 'ajv/dist/2020.js'
import { expect, it } from 'vitest'
import { configJsonSchema, loadConfig, showConfig } from '../../../src/config/load-config.ts'
import { settings } from '../../../src/config/overrides.ts'

async function shown() {
  const environment = { HOME: '/h', SALLYPORT_LIMITS_HEAD_BYTES: '8KiB' }
  const loaded = await loadConfig({ choice: { kind: 'none' }, flags: { 'log.level': 'warn' }, cwd: '/', environment })
  if (Array.isArray(loaded)) throw new Error('the defaults do not load')
  return { settings: showConfig(loaded), effective: loaded.effective }
}

it('every setting is shown with its value and who said it', async () => {
  const all = new Map(
    (await shown()).settings.map(({ path, value, origin }) => [path, `${JSON.stringify(value)} ${origin}`]),
  )
  expect(all.get('limits.headBytes')).toBe('"8KiB" SALLYPORT_LIMITS_HEAD_BYTES')
  expect(all.get('log.level')).toBe('"warn" flag')
  expect(all.get('control.address')).toBe('"127.0.0.1:3180" default')
})

it('every variable belongs to a setting that is shown, except those without a default', async () => {
  const paths = new Set((await shown()).settings.map(({ path }) => path))
  expect([...settings.keys()].filter((path) => !paths.has(path))).toEqual(['audit.file'])
})

it('the schema is one, and the defaults fit it', async () => {
  const validate = new Ajv2020({ allowUnionTypes: true }).compile(configJsonSchema())
  expect(validate((await shown()).effective)).toBe(true)
  expect(validate({ version: 1, listners: [] })).toBe(false)
})
