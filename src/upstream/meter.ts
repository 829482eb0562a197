/** Who counts the bytes of one stream before they go on, and says when there are too many. */

export type Meter = {
  /** Towards the origin. False: they must not go on, and whoever said so has ended the stream. */
  readonly takeUp: (bytes: number) => boolean
  /** Towards the client. */
  readonly takeDown: (bytes: number) => boolean
}

/** For what is nobody's. */
export const unmetered: Meter = { takeUp: () => true, takeDown: () => true }
