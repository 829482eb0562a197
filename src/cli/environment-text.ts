/**
 * An environment in the spelling of who reads it. Pure.
 *
 * Promises: whatever the values hold, a shell that evaluates the lines sets these variables and does nothing else; what a
 * format cannot say is refused.
 */

export const environmentFormats = ['shell', 'dotenv', 'docker', 'json'] as const
export type EnvironmentFormat = (typeof environmentFormats)[number]

/** The text, or a sentence that says why this format cannot hold it. */
export function environmentText(
  environment: Readonly<Record<string, string>>,
  format: EnvironmentFormat,
): { readonly text: string } | string {
  const entries = Object.entries(environment)
  const odd = entries.find(([name]) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
  if (odd !== undefined) return `${JSON.stringify(odd[0])} is no name of a variable`
  const broken = entries.find(([, value]) => /[\0\r\n]/.test(value))
  if (broken !== undefined && format !== 'json') return `${broken[0]} has a line break, which ${format} cannot hold`
  switch (format) {
    case 'shell':
      return { text: lines(entries, (name, value) => `export ${name}=${shellQuote(value)}`) }
    case 'dotenv':
      return { text: lines(entries, (name, value) => `${name}=${dotenvQuote(value)}`) }
    case 'docker':
      // --env-file takes everything after the sign as it is, quotes too.
      return { text: lines(entries, (name, value) => `${name}=${value}`) }
    case 'json':
      return { text: `${JSON.stringify(environment, null, 2)}\n` }
  }
}

/** POSIX: nothing is special between single quotes, and a single quote ends them. */
export function shellQuote(value: string): string {
  return /^[A-Za-z0-9_./:@%+=,-]+$/.test(value) ? value : `'${value.replaceAll("'", String.raw`'\''`)}'`
}

/** Single quotes are literal in all dotenv readers; double quotes are not. */
function dotenvQuote(value: string): string {
  if (/^[A-Za-z0-9_./:@%+=,-]*$/.test(value)) return value
  if (!value.includes("'")) return `'${value}'`
  return `"${value.replaceAll(/["\\$`]/g, String.raw`\$&`)}"`
}

function lines(entries: readonly (readonly [string, string])[], line: (name: string, value: string) => string): string {
  return entries.map(([name, value]) => `${line(name, value)}\n`).join('')
}
