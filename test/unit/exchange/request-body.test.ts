import { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { RequestBody } from '../../../src/exchange/request-body.ts'

/** A body, and what its door was asked for. */
function bodyOf(whole: Buffer | null = null): { readonly body: RequestBody; readonly asked: string[] } {
  const asked: string[] = []
  const body: RequestBody = new RequestBody({
    takeWhole: (of) => {
      asked.push(of === body ? 'whole' : 'whole of another')
      return whole
    },
    resume: (of) => asked.push(of === body ? 'resume' : 'resume of another'),
    drop: (of) => asked.push(of === body ? 'drop' : 'drop of another'),
    detach: () => Buffer.alloc(0),
  })
  return { body, asked }
}

function streamOf(body: RequestBody): Readable {
  const opened = body.open()
  return opened instanceof Readable ? opened : expect.fail('the body was whole')
}

describe('a request body', () => {
  it('asks for nothing before it is opened, and takes nothing', () => {
    const { body, asked } = bodyOf()
    expect(body.push(Buffer.from('a'))).toBe(false)
    expect([asked, body.complete]).toEqual([[], false])
  })

  it('is what its door has of it, where that is all', () => {
    const whole = Buffer.from('hello')
    const { body, asked } = bodyOf(whole)
    expect(body.open()).toBe(whole)
    expect(asked).toEqual(['whole'])
  })

  it('asks for pieces when it is read, and not by being opened', async () => {
    const { body, asked } = bodyOf()
    const stream = streamOf(body)
    expect(asked).toEqual(['whole'])
    stream.read(0)
    await nextTurn()
    expect(asked).toEqual(['whole', 'resume'])
  })

  it('says when it has enough, and asks again when that is gone', async () => {
    const { body, asked } = bodyOf()
    const stream = streamOf(body)
    stream.read(0)
    expect(body.push(Buffer.alloc(65_535))).toBe(true)
    expect(body.push(Buffer.alloc(1))).toBe(false)
    const before = asked.length
    stream.read()
    await nextTurn()
    expect(asked.slice(before)).toContain('resume')
  })

  it('ends when its door says so', async () => {
    const { body } = bodyOf()
    const stream = streamOf(body)
    body.push(Buffer.from('hel'))
    body.push(Buffer.from('lo'))
    body.end()
    expect(body.complete).toBe(true)
    const pieces = await stream.toArray()
    expect(Buffer.concat(pieces as Buffer[]).toString()).toBe('hello')
  })

  it('that ends or fails before anybody opened it harms nobody', async () => {
    const { body, asked } = bodyOf()
    body.fail(new Error('the client left'))
    body.end()
    await nextTurn()
    expect([asked, body.complete]).toEqual([[], true])
  })

  it('that fails is an error for who reads it, and no end', async () => {
    const { body } = bodyOf()
    const stream = streamOf(body)
    body.push(Buffer.from('hel'))
    const read = stream.toArray()
    body.fail(new Error('the client left'))
    await expect(read).rejects.toThrow('the client left')
    expect(body.complete).toBe(false)
  })

  it('that fails when nobody reads it is no error of the process', async () => {
    const { body } = bodyOf()
    const stream = streamOf(body)
    body.fail(new Error('the client left'))
    await nextTurn()
    expect(stream.destroyed).toBe(true)
  })

  it.each([
    ['without a reason', undefined],
    ['because the origin failed', new Error('the origin closed')],
  ])('that is given up %s lets its door drop the rest', async (_, reason) => {
    const { body, asked } = bodyOf()
    streamOf(body).destroy(reason)
    await nextTurn()
    expect(asked.at(-1)).toBe('drop')
    expect(body.push(Buffer.from('late'))).toBe(false)
    body.end()
    await nextTurn()
  })
})
