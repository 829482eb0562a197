/**
 * The log of the gateway itself: what it does and what goes wrong, for its operator. Decisions have the audit log.
 *
 * Promises: fields with the name of a secret are masked whatever they hold; of an error only type, code, message and
 * stack leave, never the objects hung on it (a failed request carries its head); on a terminal one entry is one line and
 * nothing in it moves the cursor.
 */

import { destination, type LevelWithSilent, pino, stdSerializers } from 'pino'

export type LogLevel = LevelWithSilent
type LogFields = Readonly<Record<string, unknown>>

type Write = (fields: LogFields, message: string) => void

export type Log = {
  readonly debug: Write
  readonly info: Write
  readonly warn: Write
  readonly error: Write
  readonly fatal: Write
}

export type LogOptions = {
  readonly level: LogLevel
  /** `json` for machines, `text` for terminals. */
  readonly format: 'json' | 'text'
  /** Where lines go; default: standard error, which the audit log never uses. */
  readonly write?: (line: string) => void
}

/** Names under which secrets travel; also one level down. */
const secretNames = [
  'accessToken',
  'apiKey',
  'authorization',
  'cookie',
  'credential',
  'key',
  'password',
  'placeholder',
  'privateKey',
  'proxy-authorization',
  'proxyUrl',
  'secret',
  'set-cookie',
  'token',
  'tokenHash',
  'x-api-key',
]

export function createLog(options: LogOptions): Log {
  const out = options.write === undefined ? destination({ fd: 2, sync: true }) : { write: options.write }
  const stream = options.format === 'json' ? out : { write: (line: string) => void out.write(`${textLine(line)}\n`) }
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: secretNames.flatMap((name) => [`["${name}"]`, `*["${name}"]`]),
        censor: '[secret]',
      },
      serializers: { error: errorFields, err: errorFields },
    },
    stream,
  )
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    fatal: (fields, message) => logger.fatal(fields, message),
  }
}

function errorFields(error: unknown): unknown {
  if (!(error instanceof Error)) return typeof error === 'string' ? error : typeof error
  const { type, stack } = stdSerializers.err(error)
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {}
  return { type, ...code, message: error.message, stack }
}

/** `12:00:01.250 warn  policy reload failed  file="dev.yaml"`: one entry of JSON as a line for people. */
function textLine(json: string): string {
  const { time, level, msg, ...fields } = parseEntry(json)
  const rest = Object.entries(fields).map(([name, value]) => `${name}=${printable(JSON.stringify(value))}`)
  const clock = typeof time === 'string' ? time.slice(11, 23) : ''
  return [clock, String(level).padEnd(5), printable(String(msg)), ...rest].join(' ')
}

function parseEntry(json: string): Record<'time' | 'level' | 'msg', unknown> & Record<string, unknown> {
  return JSON.parse(json) as ReturnType<typeof parseEntry>
}

function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (unit) => `\\u${(unit.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  )
}
