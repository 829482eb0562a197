/** What the doors hand to an exchange. */

import type { HeadProblem, RawHead, RequestHead } from '../net/request-head.ts'
import type { Answer } from './answer.ts'
import type { RequestBody } from './request-body.ts'

/** A request as the door read it. */
export type Incoming = {
  readonly raw: RawHead
  readonly head: HeadProblem | RequestHead
  readonly body: RequestBody
  readonly answer: Answer
}
