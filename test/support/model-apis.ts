/**
 * Stand-ins of two model APIs behind the test's site, as far as their SDKs need them: they look at the key first, and
 * answer with what was said to them last, whole or as an event stream.
 */

import type { ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import type { SiteHandler } from './local-ca-origin.ts'

type ModelCall = {
  readonly path: string
  /** What came in the field that carries the key. */
  readonly key: string | undefined
  readonly body: string
}

type Message = { readonly content: string | readonly { readonly text: string }[] }

export type ModelApis = {
  readonly handler: SiteHandler
  readonly calls: ModelCall[]
}

export function createModelApis(keys: { readonly anthropic: string; readonly openai: string }): ModelApis {
  const calls: ModelCall[] = []
  return {
    calls,
    handler: async (request, response) => {
      const path = request.url ?? ''
      const isOpenai = path === '/v1/chat/completions'
      const key = isOpenai ? request.headers.authorization : request.headers['x-api-key']?.toString()
      const body = await text(request)
      calls.push({ path, key, body })
      if (key !== (isOpenai ? `Bearer ${keys.openai}` : keys.anthropic)) {
        response.writeHead(401, { 'content-type': 'application/json' })
        response.end(JSON.stringify({ type: 'error', error: { type: 'authentication_error', message: 'no such key' } }))
        return
      }
      const asked = JSON.parse(body) as { readonly stream?: boolean; readonly messages: readonly Message[] }
      const said = `you said: ${textOf(asked.messages.at(-1)).slice(0, 60)}`
      if (asked.stream === true) stream(response, isOpenai ? openaiEvents(said) : anthropicEvents(said))
      else whole(response, isOpenai ? openaiAnswer(said) : anthropicAnswer(said))
    },
  }
}

function textOf(message: Message | undefined): string {
  const content = message?.content ?? ''
  return typeof content === 'string' ? content : content.map((part) => part.text).join('')
}

function whole(response: ServerResponse, answer: object): void {
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify(answer))
}

function stream(response: ServerResponse, events: readonly string[]): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  for (const event of events) response.write(event)
  response.end()
}

const usage = { input_tokens: 1, output_tokens: 1 }

function anthropicAnswer(said: string): object {
  return {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'm',
    content: [{ type: 'text', text: said }],
    stop_reason: 'end_turn',
    stop_sequence: null,
    usage,
  }
}

function anthropicEvents(said: string): string[] {
  const events = [
    { type: 'message_start', message: { ...anthropicAnswer(''), content: [], stop_reason: null } },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    ...said.split(/(?<= )/).map((part) => ({
      type: 'content_block_delta',
      index: 0,
      delta: { type: 'text_delta', text: part },
    })),
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage },
    { type: 'message_stop' },
  ]
  return events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
}

function openaiAnswer(said: string): object {
  const choice = { index: 0, finish_reason: 'stop', message: { role: 'assistant', content: said } }
  return { id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: 'm', choices: [choice] }
}

function openaiEvents(said: string): string[] {
  const chunks = said.split(/(?<= )/).map((content) => ({
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'm',
    choices: [{ index: 0, delta: { content }, finish_reason: null }],
  }))
  return [...chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`), 'data: [DONE]\n\n']
}
