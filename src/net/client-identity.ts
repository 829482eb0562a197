/** Who we are to an origin that asks for a certificate. A value without I/O; the key is a function, so that nothing prints it. */

export type ClientIdentity = {
  /** The same for the same certificates. */
  readonly id: string
  /** PEM: ours, then those that lead to its root. */
  readonly certificates: string
  /** PEM. */
  readonly key: () => string
}
