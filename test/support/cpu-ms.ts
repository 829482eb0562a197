/** CPU milliseconds of this thread so far: what a deed costs, whoever else is on the machine. */
export function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
