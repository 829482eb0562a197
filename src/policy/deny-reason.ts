/**
 * Every reason for which we refuse, in one table. The keys are public and stable: header, body, record and metric label.
 *
 * `status` is what clients act on: 403 policy, final; 407 who are you; 421 the names disagree; 429 only where waiting
 * helps; 503 we cannot decide; 400 malformed. `room` is where on the walk it is said. `says` is for the agent: it ends
 * the sentence "refused because …" and never holds an address, a path or policy text.
 */

type Row = { readonly status: 400 | 403 | 407 | 421 | 429 | 503; readonly room: string; readonly says: string }

export const denyReasons = {
  address_not_allowed: {
    status: 403,
    room: 'deliver',
    says: 'the name resolved to an address outside the ones its rule lists',
  },
  address_not_public: {
    status: 403,
    room: 'deliver',
    says: 'the name resolved to an address that is not on the public internet',
  },
  ambiguous_path: {
    status: 400,
    room: 'judge',
    says: 'the path could be read in more than one way; send it in its plain spelling',
  },
  authority_mismatch: {
    status: 421,
    room: 'open',
    says: 'the target, the TLS server name and the Host field do not name the same host',
  },
  body_not_allowed: { status: 403, room: 'judge', says: 'the host is allowed, but not with what this body asks for' },
  body_unreadable: {
    status: 403,
    room: 'judge',
    says: 'the body has to be read to judge the request, and cannot be; send JSON, a form or multipart, in one coding at most, and less of it',
  },
  connection_limit: {
    status: 429,
    room: 'identify',
    says: 'the session holds as many connections, or waits for as many answers, as it may; it passes when some are done',
  },
  credential_needs_tls: {
    status: 403,
    room: 'judge',
    says: 'this host gets a credential, which is only ever sent over https; use https',
  },
  cross_site: {
    status: 403,
    room: 'equip',
    says: 'a page of another site had the browser send it, and such a request gets no credential; send the placeholder with it',
  },
  decision_unavailable: {
    status: 503,
    room: 'identify',
    says: 'no decision could be made or recorded, so nothing is allowed for now',
  },
  denied_by_rule: { status: 403, room: 'judge', says: 'a rule of this session denies it explicitly' },
  download_limit: { status: 403, room: 'judge', says: 'the session has spent its download budget' },
  foreign_credential: {
    status: 403,
    room: 'judge',
    says: 'the request brought a credential of its own; send it without one, the proxy adds the right one',
  },
  host_limit: { status: 403, room: 'judge', says: 'the session has met as many different hosts as it may' },
  host_not_allowed: { status: 403, room: 'admit', says: 'no rule of this session allows the host' },
  malformed_request: { status: 400, room: 'accept', says: 'the request is not well-formed HTTP for a proxy' },
  method_not_allowed: { status: 403, room: 'judge', says: 'the host is allowed, but not with this method' },
  opaque_tunnel: { status: 403, room: 'open', says: 'the tunnel carried neither TLS nor HTTP; nothing else may pass' },
  overloaded: {
    status: 503,
    room: 'accept',
    says: 'the proxy holds as many connections as it may; try again in a moment',
  },
  own_address: { status: 403, room: 'deliver', says: 'the name resolved to an address of this proxy itself' },
  path_not_allowed: { status: 403, room: 'judge', says: 'the host is allowed, but not this path or query' },
  placeholder_elsewhere: {
    status: 403,
    room: 'equip',
    says: 'a placeholder for a credential was sent to a place where it has no meaning',
  },
  placeholder_missing: {
    status: 403,
    room: 'equip',
    says: 'the credential for this host is given only in exchange for its placeholder; send the one from your environment',
  },
  port_not_allowed: { status: 403, room: 'admit', says: 'the host is allowed, but not on this port' },
  rate_limited: { status: 429, room: 'judge', says: 'the session has used up its request rate; waiting helps' },
  secret_unavailable: {
    status: 503,
    room: 'equip',
    says: 'the credential for this host is not available at the proxy; the operator must supply it',
  },
  session_expired: { status: 403, room: 'identify', says: 'the session has expired; ask for a new one' },
  session_unknown: { status: 407, room: 'identify', says: 'the proxy credentials name no live session' },
  unsignable_request: {
    status: 403,
    room: 'equip',
    says: 'the request cannot be signed anew; send x-amz-date and x-amz-content-sha256 with it, and chunks of 1 MiB at most',
  },
  upload_limit: { status: 403, room: 'judge', says: 'the session has spent its upload budget' },
} as const satisfies Record<string, Row>

export type DenyReason = keyof typeof denyReasons

/** What audit mode lets through, and nothing else (decision 18). */
export const auditable: ReadonlySet<DenyReason> = new Set<DenyReason>([
  'host_not_allowed',
  'method_not_allowed',
  'path_not_allowed',
  'port_not_allowed',
])
