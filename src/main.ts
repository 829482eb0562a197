#!/usr/bin/env node
/**
 * Arguments in, exit code out; nothing else.
 *
 * Promises: on a Node that is too old one line says so. Nothing is imported before that is known, because the rest does
 * not even load there.
 */

const major = Number.parseInt(process.versions.node, 10)

if (major < 24) {
  process.stderr.write(`sallyport: needs Node >= 24, this is ${process.version}; install a newer Node\n`)
  process.exitCode = 2
} else {
  const { runCli } = await import('./cli/cli.ts')
  const { processWorld } = await import('./cli/process-world.ts')
  const exitCode = await runCli(process.argv.slice(2), processWorld())
  // What was said goes out first; a connection that something else still holds open does not keep the command alive.
  process.stdout.write('', () => process.stderr.write('', () => process.exit(exitCode)))
}
