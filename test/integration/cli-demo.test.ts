import { tmpdir } from 'node:os'
import { expect, it } from 'vitest'
import { runCli } from '../support/spawned-cli.ts'

it('tells the whole story without the internet, and all is as told', async () => {
  const { code, out, err } = await runCli(['demo'], { cwd: tmpdir() })
  expect([code, err]).toEqual([0, ''])
  expect(out).toContain('the origin saw Authorization: Bearer demo-****')
  expect(out).toMatch(/403 .*\n.*path_not_allowed/)
  expect(out).toContain('sallyport_decisions_total{outcome="deny",reason="host_not_allowed",policy="demo"} 1')
  expect(out).not.toContain('FAIL')
})
