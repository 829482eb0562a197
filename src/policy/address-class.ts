/**
 * The closed set of kinds of IP address, each with its source. Pure.
 *
 * Promises: embedded IPv4 is judged as that IPv4; everything IANA has not given out as global unicast is not public;
 * the default is refusal (IANA special-purpose registries, RFC 6890).
 */

import { type Cidr, contains, type Ip, ipv4FromValue, parseCidr } from '../net/ip.ts'

/** `never` kinds are refused under every policy; `listed` ones may be reached only by a rule's `addresses`. */
const kinds = {
  public: 'open',
  benchmarking: 'listed',
  carrier_nat: 'listed',
  documentation: 'listed',
  loopback: 'listed',
  private: 'listed',
  reserved: 'listed',
  link_local: 'never',
  metadata: 'never',
  multicast: 'never',
  unspecified: 'never',
} as const

export type AddressClass = keyof typeof kinds

/** First match wins, so the narrow stand before the wide. */
const table: readonly (readonly [AddressClass, readonly string[]])[] = [
  // Metadata services of clouds: AWS and most others, ECS tasks, EKS pods, AWS IPv6, Alibaba, Oracle, Azure wire server, GCE IPv6.
  [
    'metadata',
    [
      '169.254.169.254/32',
      '169.254.170.2/32',
      '169.254.170.23/32',
      'fd00:ec2::254/128',
      'fd00:ec2::23/128',
      'fd20:ce::254/128',
      '100.100.100.200/32',
      '192.0.0.192/32',
      '168.63.129.16/32',
    ],
  ],
  ['unspecified', ['0.0.0.0/8', '::/128']], // RFC 1122 §3.2.1.3, RFC 4291 §2.5.2
  ['multicast', ['224.0.0.0/4', 'ff00::/8', '255.255.255.255/32']], // RFC 5771, RFC 4291 §2.7, RFC 919
  ['link_local', ['169.254.0.0/16', 'fe80::/10', 'fec0::/10']], // RFC 3927, RFC 4291 §2.5.6, RFC 3879
  ['loopback', ['127.0.0.0/8', '::1/128']], // RFC 1122, RFC 4291 §2.5.3
  ['private', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']], // RFC 1918, RFC 4193
  ['carrier_nat', ['100.64.0.0/10']], // RFC 6598
  ['benchmarking', ['198.18.0.0/15', '2001:2::/48']], // RFC 2544, RFC 5180
  ['documentation', ['192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24', '2001:db8::/32', '3fff::/20']], // RFC 5737, 3849, 9637
  // Protocol assignments, AMT, 6to4 relays, class E, discard, Teredo and ORCHID, segment routing, deprecated space.
  [
    'reserved',
    [
      '192.0.0.0/24',
      '192.52.193.0/24',
      '192.88.99.0/24',
      '192.175.48.0/24',
      '240.0.0.0/4',
      '100::/64',
      '100:0:0:1::/64',
      '2001::/23',
      '2620:4f:8000::/48',
      '5f00::/16',
    ],
  ],
  ['public', ['0.0.0.0/0', '2000::/3']], // RFC 4291 §2.4: global unicast is what IANA gives out of 2000::/3
]

const blocks: readonly (readonly [Cidr, AddressClass])[] = table.flatMap(([kind, texts]) =>
  texts.map((text) => {
    const block = parseCidr(text)
    if (block === null) throw new Error(`address table: ${text}`)
    return [block, kind] as const
  }),
)

/** The kind of the address; of several (an IPv6 that embeds an IPv4) the strictest. */
export function classifyAddress(ip: Ip): AddressClass {
  return judged(ip).kind
}

type Judged = { readonly kind: AddressClass; readonly inner: Ip }

/** By the value itself: an answer of DNS is kept for its TTL and judged for every request in it. */
const known = new WeakMap<Ip, Judged>()

function judged(ip: Ip): Judged {
  const before = known.get(ip)
  if (before !== undefined) return before
  const embedded = embeddedIpv4(ip)
  const inner = embedded === null || embedded === 'refuse' ? ip : embedded
  const found: Judged = { kind: embedded === 'refuse' ? 'reserved' : classify(inner), inner }
  known.set(ip, found)
  return found
}

export function isNever(kind: AddressClass): boolean {
  return kinds[kind] === 'never'
}

/** Whether no address of the block can ever be reached, so that listing it is a mistake. */
export function isNeverBlock(block: Cidr): boolean {
  const first: Ip = { bits: block.bits, value: block.base, text: '' }
  return blocks.some(([wider, kind]) => isNever(kind) && wider.length <= block.length && contains(wider, first))
}

/** The address as rules' `addresses` and our own listeners are compared with it: embedded IPv4 unwrapped. */
export function innerAddress(ip: Ip): Ip {
  return judged(ip).inner
}

function classify(ip: Ip): AddressClass {
  for (const [block, kind] of blocks) if (contains(block, ip)) return kind
  return 'reserved' // IPv6 outside 2000::/3
}

/** IPv4 inside IPv6: mapped, compatible, NAT64 (RFC 6052), SIIT, 6to4 (RFC 3056), ISATAP (RFC 5214). Teredo is refused whole. */
function embeddedIpv4(ip: Ip): Ip | 'refuse' | null {
  if (ip.bits === 32) return null
  const { value } = ip
  const low = value & 0xffff_ffffn
  const high96 = value >> 32n
  if (high96 === 0xffffn || high96 === 0xffff_0000n) return ipv4FromValue(low) // ::ffff:0:0/96, ::ffff:0:0:0/96
  if (high96 === 0n && value > 1n) return ipv4FromValue(low) // ::/96, RFC 4291 §2.5.5.1, deprecated
  if (high96 === 0x64_ff9b_0000_0000_0000_0000n) return ipv4FromValue(low) // 64:ff9b::/96
  if (value >> 80n === 0x64_ff9b_0001n) return 'refuse' // 64:ff9b:1::/48, RFC 8215: local use, the place of the IPv4 is unknown
  if (value >> 112n === 0x2002n) return ipv4FromValue((value >> 80n) & 0xffff_ffffn) // 2002::/16
  if (value >> 96n === 0x2001_0000n) return 'refuse' // 2001::/32 Teredo
  if (((value >> 32n) & 0xfdff_ffffn) === 0x0000_5efen) return 'refuse' // …:[02]00:5efe:a.b.c.d
  return null
}
