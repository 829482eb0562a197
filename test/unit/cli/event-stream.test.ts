import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createEventParser, type ServerEvent } from '../../../src/cli/event-stream.ts'

function parse(pieces: readonly string[]): ServerEvent[] {
  const events: ServerEvent[] = []
  const take = createEventParser((event) => events.push(event))
  for (const piece of pieces) take(piece)
  return events
}

test.each<[string, string, ServerEvent[]]>([
  ['an event has a type and a text', 'event: decision\ndata: {}\n\n', [{ type: 'decision', text: '{}' }]],
  ['comments are no events', ': open\n\n: still here\n\n', []],
  ['without a type it is a message', 'data: a\n\n', [{ type: 'message', text: 'a' }]],
  ['several data lines are one text', 'data: a\ndata: b\n\n', [{ type: 'message', text: 'a\nb' }]],
  ['ids are passed over', 'id: d-1\ndata: a\n\n', [{ type: 'message', text: 'a' }]],
  ['other line ends count too', 'event: x\r\ndata: a\r\n\r\n', [{ type: 'x', text: 'a' }]],
  ['an event that is cut off is none', 'data: a\n', []],
  [
    'the type does not outlive its event',
    'event: x\ndata: a\n\ndata: b\n\n',
    [
      { type: 'x', text: 'a' },
      { type: 'message', text: 'b' },
    ],
  ],
])('%s', (_name, text, expected) => {
  expect(parse([text])).toEqual(expected)
})

test('however the bytes are cut, the events are the same', () => {
  const text = ': open\n\nevent: decision\r\nid: 1\r\ndata: {"a":1}\r\n\r\nevent: missed\ndata: {"count":2}\n\n'
  const whole = parse([text])
  fc.assert(
    fc.property(fc.array(fc.nat(text.length)), (cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), text.length]
      const pieces = at.slice(1).map((end, index) => text.slice(at[index], end))
      expect(parse(pieces)).toEqual(whole)
    }),
  )
})

test('a line without end is not kept for ever', () => {
  const take = createEventParser(() => undefined)
  expect(() => {
    for (let piece = 0; piece < 40; piece++) take('x'.repeat(2 ** 16))
  }).toThrow('too long')
})
