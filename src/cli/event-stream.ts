/**
 * Server-sent events (WHATWG HTML, 9.2), as far as our API sends them. Pure but for what it is given.
 *
 * Promises: an event is told once it is whole, however the bytes were cut; what is kept of an unfinished one is bounded.
 */

export type ServerEvent = { readonly type: string; readonly text: string }

const eventCharactersMax = 2 ** 20

/** Takes the stream's text piece by piece. */
export function createEventParser(onEvent: (event: ServerEvent) => void): (piece: string) => void {
  let rest = ''
  let type = 'message'
  let lines: string[] = []
  let length = 0

  const takeLine = (line: string): void => {
    if (line === '') {
      if (lines.length > 0) onEvent({ type, text: lines.join('\n') })
      type = 'message'
      lines = []
      length = 0
      return
    }
    const colon = line.indexOf(':')
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    length += line.length
    if (length > eventCharactersMax) throw new Error('an event is too long')
    if (name === 'event') type = value
    if (name === 'data') lines.push(value)
  }
  return (piece) => {
    rest += piece
    // A carriage return may be the first half of a line end whose other half is still to come.
    const parts = rest.split(/\r\n|\n|\r(?!$)/)
    rest = parts.pop() ?? ''
    if (rest.length > eventCharactersMax) throw new Error('an event is too long')
    for (const line of parts) takeLine(line)
  }
}
