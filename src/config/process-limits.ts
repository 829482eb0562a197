/**
 * What the whole process may use and wait for, each with its default and the reason for it. One table: the schema, the
 * defaults, the environment variables and `config show` are all made from it.
 *
 * Promises: every wait and every store has a bound, and none can be switched off: zero never means unlimited.
 */

import { parseBytes, parseDurationMs } from '../policy/parse-limits.ts'

type Row = {
  /** Its name in the parsed configuration, with the unit. */
  readonly to: string
  readonly unit: 'bytes' | 'count' | 'duration'
  readonly default: number | string
  readonly why: string
}

export const processLimits = {
  auditQueue: {
    to: 'auditQueueBytesMax',
    unit: 'bytes',
    default: '16MiB',
    why: 'Records that wait for the disk; past it nothing new is allowed. Some 25,000 records: seconds of a busy gateway.',
  },
  connectAttemptTimeout: {
    to: 'connectAttemptMs',
    unit: 'duration',
    default: '3s',
    why: 'One address of a name, before the next is tried. Two retransmissions of a SYN fit in.',
  },
  connectTimeout: {
    to: 'connectTimeoutMs',
    unit: 'duration',
    default: '10s',
    why: 'All addresses of a name together. Clients themselves give up between 10 and 30 seconds.',
  },
  connections: {
    to: 'connectionsMax',
    unit: 'count',
    default: 10_000,
    why: 'Client connections of all listeners. An idle tunnel costs some 20 KiB, so this is 200 MiB.',
  },
  connectionsPerOrigin: {
    to: 'connectionsPerOriginMax',
    unit: 'count',
    default: 128,
    why: 'Connections of one session to one origin. More at once than any package manager opens.',
  },
  connectionsPerSession: {
    to: 'connectionsPerSessionMax',
    unit: 'count',
    default: 1_000,
    why: 'Client connections of one session, where neither it nor its policy says. A tenth of what the process holds.',
  },
  deniedLeafCache: {
    to: 'deniedLeavesMax',
    unit: 'count',
    default: 256,
    why: 'Leaf certificates for names that were denied; apart, so that denied names never push out allowed ones.',
  },
  deniedLeavesPerSecond: {
    to: 'deniedLeavesPerSecondMax',
    unit: 'count',
    default: 50,
    why: 'New leaf certificates for denied names. A loop over names costs no more signatures than this.',
  },
  dnsCache: {
    to: 'dnsNamesMax',
    unit: 'count',
    default: 10_000,
    why: 'Names whose addresses are remembered, each for as long as its TTL says and five minutes at most.',
  },
  dnsTimeout: {
    to: 'dnsTimeoutMs',
    unit: 'duration',
    default: '3s',
    why: 'One question to one name server; it is asked twice.',
  },
  downloadBytesPerSession: {
    to: 'downloadBytesPerSessionMax',
    unit: 'bytes',
    default: '1TiB',
    why: 'What may come to one session, where neither it nor its policy says. Months of a busy agent.',
  },
  exchangeIdleTimeout: {
    to: 'exchangeIdleMs',
    unit: 'duration',
    default: '15m',
    why: 'An exchange in which no byte moves. Model APIs think for minutes, and event streams are silent for ten.',
  },
  exchangesPerSession: {
    to: 'exchangesPerSessionMax',
    unit: 'count',
    default: 1_000,
    why: 'Requests of one session under way at once, streams of HTTP/2 among them. Each may hold some 128 KiB that nobody takes.',
  },
  firstBytesTimeout: {
    to: 'firstBytesTimeoutMs',
    unit: 'duration',
    default: '10s',
    why: 'From the 200 of a CONNECT to a whole ClientHello or the first line of a request.',
  },
  handshakesPerSession: {
    to: 'handshakesPerSessionMax',
    unit: 'count',
    default: 16,
    why: 'TLS handshakes of one session with us at once; its others wait. Some 16 ms of work, which others wait for.',
  },
  handshakeTimeout: {
    to: 'handshakeTimeoutMs',
    unit: 'duration',
    default: '10s',
    why: 'A TLS handshake, with clients and with origins.',
  },
  headBytes: {
    to: 'headBytesMax',
    unit: 'bytes',
    default: '32KiB',
    why: 'The head of a request. Twice what common servers take, so what we refuse an origin would have refused.',
  },
  headTimeout: {
    to: 'headTimeoutMs',
    unit: 'duration',
    default: '10s',
    why: 'From the first byte of a request head to its end. Slow heads are how connections are held open for nothing.',
  },
  hostsPerSession: {
    to: 'hostsPerSessionMax',
    unit: 'count',
    default: 1_000,
    why: 'Different hosts in the life of one session, where neither it nor its policy says. Names are a channel, and each costs some 300 bytes.',
  },
  judgedBodies: {
    to: 'judgedBodiesBytesMax',
    unit: 'bytes',
    default: '256MiB',
    why: 'All request bodies together that wait to be judged. Past it they are refused until there is room.',
  },
  judgedBodyBytes: {
    to: 'judgedBodyBytesMax',
    unit: 'bytes',
    default: '32MiB',
    why: 'A request body that must be judged before any of it goes on. What model APIs take at most.',
  },
  judgedBodyTimeout: {
    to: 'judgedBodyMs',
    unit: 'duration',
    default: '2m',
    why: 'From the decision on its head to the end of a body that is judged. The largest, at two megabits a second.',
  },
  keepAliveTimeout: {
    to: 'keepAliveMs',
    unit: 'duration',
    default: '75s',
    why: 'Silence of a client between two requests, and before the first. Longer than clients keep a connection unused.',
  },
  leafCache: {
    to: 'leavesMax',
    unit: 'count',
    default: 1000,
    why: 'Leaf certificates and their TLS contexts, some 30 KiB each. More hosts than a fleet of agents usually meets.',
  },
  originHeadBytes: {
    to: 'originHeadBytesMax',
    unit: 'bytes',
    default: '64KiB',
    why: 'The head of an answer. Content security policies and cookies make them longer than requests.',
  },
  originHeadTimeout: {
    to: 'originHeadTimeoutMs',
    unit: 'duration',
    default: '10m',
    why: 'From a whole request to the head of its answer. Model APIs that do not stream answer after minutes.',
  },
  originKeepAliveTimeout: {
    to: 'originKeepAliveMs',
    unit: 'duration',
    default: '30s',
    why: 'An unused connection to an origin. Shorter costs a handshake after each pause; one that was closed meanwhile is tried anew.',
  },
  poolsPerSession: {
    to: 'poolsPerSessionMax',
    unit: 'count',
    default: 64,
    why: 'Origins to which one session keeps connections; the one unused longest goes first.',
  },
  recentDecisions: {
    to: 'recentDecisionsMax',
    unit: 'count',
    default: 10_000,
    why: 'Decisions kept in memory for the API and the page, some 1 KiB each.',
  },
  redactionsPerSession: {
    to: 'redactionsPerSessionMax',
    unit: 'count',
    default: 10_000,
    why: 'Places masked in the answers to one session, before it is ended. Some APIs say the key in every link of a list.',
  },
  requestsPerMinutePerSession: {
    to: 'requestsPerMinutePerSessionMax',
    unit: 'count',
    default: 60_000,
    why: 'Requests of one session in any minute, where neither it nor its policy says. Installing thousands of packages stays below.',
  },
  sessions: {
    to: 'sessionsMax',
    unit: 'count',
    default: 10_000,
    why: 'Live sessions. Creating more is refused until some end.',
  },
  tunnelDuration: {
    to: 'tunnelDurationMs',
    unit: 'duration',
    default: '24h',
    why: 'From the first byte of a tunnel or a WebSocket to its end, where neither the session nor its policy says.',
  },
  tunnelIdleTimeout: {
    to: 'tunnelIdleMs',
    unit: 'duration',
    default: '1h',
    why: 'A tunnel in which no byte moves. SSH and database clients are silent for long and send keep-alives before this.',
  },
  unprovenConnections: {
    to: 'unprovenConnectionsMax',
    unit: 'count',
    default: 1_000,
    why: 'Connections of which nobody knows yet whose they are. Past it the oldest goes, once it stood for a quarter of a second.',
  },
  uploadBytesPerSession: {
    to: 'uploadBytesPerSessionMax',
    unit: 'bytes',
    default: '100GiB',
    why: 'What one session may send, where neither it nor its policy says. A model is told everything again with each call.',
  },
} as const satisfies Record<string, Row>

type Rows = typeof processLimits
export type ProcessLimitKey = keyof Rows
export type ProcessLimits = { readonly [Key in ProcessLimitKey as Rows[Key]['to']]: number }

export const processLimitKeys = Object.keys(processLimits) as ProcessLimitKey[]

/** What to write instead, for each unit. */
const forms = {
  bytes: 'write a size above zero with its unit, as in 64KiB',
  count: 'write a whole number above zero',
  duration: 'write a duration above zero with its unit, as in 30s or 5m',
} as const satisfies Record<Row['unit'], string>

const countMax = 10_000_000
/** The longest wait of Node's timers. */
const durationMaxMs = 2 ** 31 - 1

/** The number in the unit of the limit's name; or what to write instead. */
export function parseProcessLimit(key: ProcessLimitKey, written: unknown): number | string {
  const { unit } = processLimits[key]
  if (typeof written !== 'number' && typeof written !== 'string') return forms[unit]
  const value = valueOf(unit, written)
  return value === null ? forms[unit] : value
}

function valueOf(unit: Row['unit'], written: number | string): number | null {
  switch (unit) {
    case 'bytes':
      return parseBytes(written)
    case 'count': {
      const value = typeof written === 'string' && /^[0-9]{1,9}$/.test(written) ? Number(written) : written
      return typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= countMax ? value : null
    }
    case 'duration': {
      const value = typeof written === 'string' ? parseDurationMs(written) : null
      return value !== null && value <= durationMaxMs ? value : null
    }
  }
}
