/** Checks of HTTP/1.1 as it is read from clients and answered: its grammar, its bodies, the order of requests. */

import type { Mutant } from './mutants.ts'

type Row = Pick<Mutant, 'cases' | 'from' | 'to' | 'without'> & Partial<Pick<Mutant, 'corpus' | 'unit'>>

const of =
  (file: string, unit?: string) =>
  (row: Row): Mutant => ({ file, corpus: ['framing'], ...(unit === undefined ? {} : { unit }), ...row })

const text = of('net/head-text.ts', 'net/head-text.test.ts')
const body = of('net/body-decoder.ts', 'net/body-decoder.test.ts')
const memo = of('net/field-memo.ts', 'net/field-memo.test.ts')
const reader = of('listeners/http-reader.ts', 'listeners/http-reader.test.ts')
const door = of('listeners/http-door.ts')
const answer = of('exchange/client-answer.ts', 'exchange/client-answer.test.ts')
const taken = of('exchange/request-body.ts', 'exchange/request-body.test.ts')
const exchange = of('exchange/exchange.ts')
const connection = of('exchange/connection.ts', 'exchange/connection.test.ts')

const halfClosed = ['integration/half-closed.test.ts']
const connections = ['integration/delivery-connection.test.ts']

export const httpMutants: readonly Mutant[] = [
  text({ without: 'the two versions', from: 'HTTP\\/1\\.([01])$/', to: 'HTTP\\/1\\.([0-9])$/', cases: 'FRM-20' }),
  text({ without: 'the end of a version', from: 'HTTP\\/1\\.([01])$/', to: 'HTTP\\/1\\.([01])/', cases: 'FRM-20' }),
  text({ without: 'the name HTTP', from: 'HTTP\\/1\\.([01])$/', to: '[A-Za-z]+\\/1\\.([01])$/', cases: 'FRM-20' }),
  text({ without: 'single spaces', from: ' HTTP\\/1', to: ' +HTTP\\/1', cases: 'FRM-20' }),
  text({
    without: 'the start of a request line',
    from: '/^([!-~]+) ([!-~',
    to: '/([!-~]+) ([!-~',
    cases: 'FRM-10|FRM-19',
  }),
  text({ without: 'a method without controls', from: '/^([!-~]+) ', to: '/^([^ ]+) ', cases: 'FRM-21' }),
  text({
    without: 'a target without blanks',
    from: ' ([!-~\\x80-\\xff]+) ',
    to: ' ([ -~\\x80-\\xff]+) ',
    cases: 'FRM-23',
  }),
  text({
    without: 'the colon right behind a name',
    from: '0-9A-Za-z-]+:[',
    to: '0-9A-Za-z-]+[\\t ]*:[',
    cases: 'FRM-10',
  }),
  text({
    without: 'names that are tokens',
    from: "(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:",
    to: '(?:[^\\r\\n:]+:',
    cases: 'FRM-05n|FRM-10',
  }),
  text({
    without: 'names at all',
    from: '0-9A-Za-z-]+:[',
    to: '0-9A-Za-z-]*:[',
    cases: 'FRM-10',
  }),
  text({
    without: 'visible values',
    from: ':[\\t -~\\x80-\\xff]*\\r\\n)*$/',
    to: ':[^\\r\\n]*\\r\\n)*$/',
    cases: 'FRM-05v|FRM-10',
  }),
  text({
    without: 'the refusal of bare returns',
    from: ':[\\t -~\\x80-\\xff]*\\r\\n)*$/',
    to: ':[\\t\\r -~\\x80-\\xff]*\\r\\n)*$/',
    cases: 'FRM-09',
  }),
  text({
    without: 'the refusal of bare line feeds',
    from: ':[\\t -~\\x80-\\xff]*\\r\\n)*$/',
    to: ':[\\t\\n -~\\x80-\\xff]*\\r\\n)*$/',
    cases: 'FRM-09',
  }),
  text({
    without: 'the refusal of folded lines',
    from: ':[\\t -~\\x80-\\xff]*\\r\\n)*$/',
    to: ':[\\t -~\\x80-\\xff]*(?:\\r\\n[\\t ][\\t -~]*)*\\r\\n)*$/',
    cases: 'FRM-08',
  }),
  text({
    without: 'the very same fields',
    from: 'if (lines === this.#lines)',
    to: 'if (lines.length === this.#lines?.length)',
    cases: 'FRM-19',
  }),
  text({
    without: 'blanks off the start of a value',
    from: 'while (start < end && isBlank(text.charCodeAt(start))) start++',
    to: '',
    cases: 'FRM-27',
  }),
  text({
    without: 'blanks off the end of a value',
    from: 'while (end > start && isBlank(text.charCodeAt(end - 1))) end--',
    to: '',
    cases: 'FRM-27',
  }),
  text({
    without: 'controls in what is no head yet',
    from: '/[^\\t\\r\\n -~\\x80-\\xff]|(?:^',
    to: '/(?:^',
    cases: 'FRM-19d',
  }),
  text({
    without: 'line feeds in what is no head yet',
    from: '|(?:^|[^\\r])\\n|',
    to: '|',
    cases: 'FRM-20x',
  }),
  text({ without: 'returns in what is no head yet', from: '|\\r(?!\\n|$)/', to: '/', cases: 'FRM-20x' }),

  body({ without: 'the start of a size', from: '/^([0-9A-Fa-f]{1,12})', to: '/([0-9A-Fa-f]{1,12})', cases: 'FRM-11' }),
  body({ without: 'the bound of digits', from: '[0-9A-Fa-f]{1,12}', to: '[0-9A-Fa-f]{1,}', cases: 'FRM-11' }),
  body({ without: 'a size at all', from: '[0-9A-Fa-f]{1,12}', to: '[0-9A-Fa-f]{0,12}', cases: 'FRM-11' }),
  body({ without: 'the end of a size', from: '"))?)*$/', to: '"))?)*/', cases: 'FRM-11|FRM-12' }),
  body({
    without: 'the grammar of extensions',
    from: '(?:;[!#$%&\'*+.^_`|~0-9A-Za-z-]+(?:=(?:[!#$%&\'*+.^_`|~0-9A-Za-z-]+|"(?:[\\t !#-[\\]-~]|\\\\[\\t -~])*"))?)*$/',
    to: '(?: *;.*)?$/s',
    cases: 'FRM-12',
  }),
  body({
    without: 'the return of a line',
    from: "if (!this.#line.endsWith('\\r\\n')) return this.#break('a line of the chunked body ends without a return', at)",
    to: "if (!this.#line.endsWith('\\r\\n')) this.#line = `${this.#line.slice(0, -1)}\\r\\n`",
    cases: 'FRM-13|FRM-12',
  }),
  body({
    without: 'the end of data',
    from: "else this.#break('a chunk is longer than its size', at)",
    to: "else this.#part = 'size'",
    cases: 'FRM-13',
  }),
  body({
    without: 'the bound of lines',
    from: "if (this.#line.length + end - at > lineBytesMax) return this.#break('a line of the chunked body is too long', at)",
    to: '',
    cases: 'FRM-12',
  }),
  body({
    without: 'the bound of what is dropped',
    from: 'if (this.#extra > extraBytesMax)',
    to: 'if (this.#extra > 2 ** 30)',
    cases: 'FRM-12z|FRM-17x',
  }),
  body({
    without: 'the bound of extensions',
    from: 'this.#count(line.length - digits.length, at)',
    to: '',
    cases: 'FRM-12z',
  }),
  body({
    without: 'the bound of trailers',
    from: 'else this.#count(line.length, at)',
    to: '',
    cases: 'FRM-12z|FRM-17x',
  }),
  body({
    without: 'the grammar of trailers',
    from: 'if (name === undefined) this.#break(\'a trailer is not "name: value"\', at)\n    else if (',
    to: 'if (name === undefined) return\n    if (',
    cases: 'FRM-17w',
  }),
  body({
    without: 'trailers that frame',
    from: '/^(?:content-length|transfer-encoding)$/i',
    to: '/^$/',
    cases: 'FRM-17w',
  }),
  body({
    without: 'the end of a chunk',
    from: 'const end = Math.min(bytes.length, at + this.#left)\n    this.#left -=',
    to: 'const end = bytes.length\n    this.#left -=',
    cases: 'FRM-27',
  }),
  body({
    without: 'the end of a length',
    from: 'const end = Math.min(bytes.length, at + this.#left)\n    if',
    to: 'const end = bytes.length\n    if',
    cases: 'FRM-26|FRM-27',
  }),
  body({
    without: 'whole bodies that are whole',
    from: 'return this.#left <= bytes ? this.#left : null',
    to: 'return this.#left',
    cases: 'FRM-26|FRM-27',
  }),
  memo({
    without: 'lists that came again only',
    from: 'if (repeated.has(fields)) this',
    to: 'this',
    cases: 'FRM-19',
  }),

  reader({
    without: 'the bound of a head',
    from: "if ((end < 0 ? unread.length : end) - start > this.#headBytesMax) return this.#badHead('the head is too large')",
    to: '',
    corpus: ['fields', 'framing'],
    cases: 'HDR-09|FRM-23',
  }),
  reader({
    without: 'the bound of a head that has not ended',
    from: 'if ((end < 0 ? unread.length : end) - start >',
    to: 'if (end - start >',
    corpus: ['fields', 'framing'],
    cases: 'HDR-09|FRM-23',
  }),
  reader({
    without: 'an early look at what can be no head',
    from: "return canBecomeHead(unread.toString('latin1', start))",
    to: 'return true',
    cases: 'FRM-19d',
  }),
  reader({
    without: 'one request after the other',
    from: 'this.#busy ? false : this.#readHead()',
    to: 'this.#readHead()',
    cases: 'FRM-19',
  }),
  reader({
    without: 'the end behind a bad head',
    from: 'this.stop()\n    this.#listener.onBadHead(detail)',
    to: 'this.#listener.onBadHead(detail)',
    cases: 'FRM-19',
  }),
  reader({
    without: 'the end behind a head that is a problem',
    from: "if ('kind' in head) this.stop()\n    else {",
    to: "if (!('kind' in head)) {",
    cases: 'FRM-19b',
  }),
  reader({
    without: 'a body that is unknown behind a problem',
    from: 'body.complete = this.#decoder === null && !this.#stopped',
    to: 'body.complete = this.#decoder === null',
    cases: 'FRM-19b',
  }),
  reader({
    without: 'what came before the answer',
    from: 'this.#behind = this.#unread !== null',
    to: 'this.#behind = false',
    cases: 'FRM-19g',
  }),
  reader({
    without: 'what came after the answer',
    from: '      this.#behind = false\n',
    to: '',
    corpus: connections,
    cases: 'nobody took',
  }),
  reader({
    without: 'bodies that are read only when they are wanted',
    from: "if (this.#wanted === 'no' || unread === null) return false",
    to: 'if (unread === null) return false',
    cases: 'FRM-27',
  }),
  reader({
    without: 'the pace of who reads a body',
    from: "else if (!goOn) this.#wanted = 'no'",
    to: '',
    cases: 'FRM-27',
  }),
  reader({
    without: 'the wait of a client that is ahead',
    from: 'if (full) this.#stream.pause()',
    to: 'if (full) this.#stream.resume()',
    cases: 'FRM-19f|FRM-27',
  }),
  reader({
    without: 'the bound of what waits',
    from: ': this.unreadBytes > this.#headBytesMax',
    to: ': false',
    cases: 'FRM-19f',
  }),
  reader({
    without: 'the drop of what nobody took',
    from: "if (this.#decoder !== null) this.#wanted = 'drop'",
    to: '',
    corpus: ['policy'],
    cases: 'FRM-25',
  }),
  reader({
    without: 'whose body is whole',
    from: 'if (this.#decoder === null || body !== this.#body || unread',
    to: 'if (this.#decoder === null || unread',
    cases: 'FRM-19',
  }),
  reader({
    without: 'whose body is asked for',
    from: "if (this.#decoder === null || body !== this.#body || this.#wanted === 'drop') return\n    this.#wanted = 'yes'",
    to: "if (this.#decoder === null || this.#wanted === 'drop') return\n    this.#wanted = 'yes'",
    cases: 'FRM-19',
  }),
  reader({
    without: 'whose body is given up',
    from: "if (this.#decoder === null || body !== this.#body || this.#wanted === 'drop') return\n    this.#wanted = 'drop'",
    to: "if (this.#decoder === null || this.#wanted === 'drop') return\n    this.#wanted = 'drop'",
    cases: 'FRM-19',
  }),
  reader({
    without: 'bodies that stay dropped',
    from: "|| this.#wanted === 'drop') return\n    this.#wanted = 'yes'",
    to: ") return\n    this.#wanted = 'yes'",
    corpus: ['policy'],
    cases: 'FRM-25',
  }),
  reader({
    without: 'word of a broken body',
    from: "this.#listener.onBadBody(decoder.problem ?? 'the body is not what its head said')",
    to: '',
    cases: 'FRM-11',
  }),
  reader({
    without: 'one empty line before a request',
    from: 'unread[0] === 13 && unread[1] === 10 ? 2 : 0',
    to: '0',
    cases: 'FRM-19',
  }),
  reader({
    without: 'the end within a body',
    from: "this.#listener.onEnd(this.#decoder !== null ? 'body' :",
    to: 'this.#listener.onEnd(',
    cases: 'FRM-26|FRM-13x',
  }),
  reader({
    without: 'the end within a head',
    from: "this.#unread !== null && !this.#busy ? 'head' : 'nothing'",
    to: "'nothing'",
    corpus: halfClosed,
    cases: 'within a head',
  }),
  reader({
    without: 'requests that wait when a client ends',
    from: "this.#unread !== null && !this.#busy ? 'head' : 'nothing'",
    to: "this.#unread !== null ? 'head' : 'nothing'",
    corpus: halfClosed,
    cases: 'each request',
  }),
  reader({
    without: 'the error of a client that is gone',
    from: 'this.stop()\n    body?.fail(error)',
    to: 'this.stop()',
    cases: 'FRM-11|FRM-26',
  }),
  reader({
    without: 'letting go of the stream',
    from: "this.#stream.removeListener('data', this.#onData)",
    to: '',
    corpus: ['tunnels'],
    cases: 'TUN-0',
  }),

  door({
    without: 'the refusal of CONNECT behind a request',
    from: 'if (behind) {',
    to: 'if (behind && raw.target === "") {',
    cases: 'FRM-19g',
  }),
  door({
    without: 'word of a broken body',
    from: "else active.interrupt(deny('malformed_request', detail))",
    to: '',
    cases: 'FRM-11',
  }),
  door({
    without: 'the end of a connection whose body broke behind its answer',
    from: 'if (active === null) this.#hangUp()\n    else active',
    to: 'if (active !== null) active',
    corpus: ['policy'],
    cases: 'FRM-25x',
  }),
  door({
    without: 'the end of a connection behind a bad head',
    from: "stream.write(textOf(reply), 'latin1')\n      this.#hangUp()",
    to: "stream.write(textOf(reply), 'latin1')",
    cases: 'FRM-19|FRM-10',
  }),
  door({
    without: 'the end of a poisoned connection',
    from: 'if (connection.poisoned || (connection.ended &&',
    to: 'if ((connection.ended &&',
    cases: 'FRM-19b|FRM-02',
  }),
  door({
    without: 'the end of a connection whose client has ended',
    from: '|| (connection.ended && reader.unreadBytes === 0)) this',
    to: ') this',
    corpus: halfClosed,
    cases: 'behind the answer',
  }),
  door({
    without: 'requests sent before a client ended',
    from: '(connection.ended && reader.unreadBytes === 0)',
    to: 'connection.ended',
    corpus: halfClosed,
    cases: 'each request',
  }),
  door({
    without: 'the answer to a client that has ended',
    from: 'else if (connection.active === null) this.#hangUp()',
    to: 'else this.#hangUp()',
    corpus: halfClosed,
    cases: 'behind the answer|long answer',
  }),
  door({
    without: 'letting go of clients that have ended',
    from: 'else if (connection.active === null) this.#hangUp()',
    to: '',
    corpus: halfClosed,
    cases: 'between requests',
  }),
  door({
    without: 'word of a client that has ended',
    from: 'connection.ended = true',
    to: '',
    corpus: halfClosed,
    cases: 'given up',
  }),
  door({
    without: 'the answer to half a head',
    from: "connection.onHeadTimeout = () => this.onBadHead('the head did not end in time')",
    to: '',
    corpus: connections,
    cases: 'never ends its head',
  }),
  door({
    without: 'word of a client that has left',
    from: 'connection.active?.leave()',
    to: '',
    cases: 'FRM-26b',
  }),
  connection({
    without: 'the end of clients that may be gone',
    from: 'else if (this.ended && now - this.#phaseSince > halfClosedMs) this.cut()',
    to: '',
    corpus: halfClosed,
    cases: 'given up',
  }),
  connection({
    without: 'the bound of what is dropped behind an answer',
    from: '|| stream.bytesRead > this.#drain.bytesMax) this.cut()',
    to: ') this.cut()',
    corpus: ['policy'],
    cases: 'FRM-25',
  }),

  exchange({
    without: '100 Continue',
    from: 'if (head.expectContinue && !this.#left) {',
    to: 'if (head.expectContinue && this.#left) {',
    cases: 'FRM-18',
  }),
  exchange({
    without: '100 Continue only where it is asked for',
    from: 'if (head.expectContinue && !this.#left) {',
    to: 'if (!this.#left) {',
    cases: 'FRM-18|FRM-27',
  }),
  exchange({
    without: 'the end of a connection behind an ambiguous head',
    from: "if ('kind' in head || reply.status",
    to: 'if (reply.status',
    cases: 'FRM-19h',
  }),
  exchange({
    without: 'the end of a connection behind a body that was not asked for',
    from: '|| (head.expectContinue && !this.#continued))',
    to: ')',
    corpus: ['policy'],
    cases: 'FRM-18w',
  }),
  exchange({
    without: 'the end of an answer that is cut',
    from: 'ends.\n    this.connection.cut()',
    to: 'ends.\n    this.#answer.end()',
    corpus: ['responses'],
    cases: 'RSP-06',
  }),
  exchange({
    without: 'one answer',
    from: 'if (reply === null || this.#answer.status !== null) {',
    to: 'if (reply === null) {',
    corpus: connections,
    cases: 'while the answer streams',
  }),
  exchange({
    without: 'the end of a connection behind a last refusal',
    from: 'this.#answer.send(reply)\n    if (this.#answer.last) this.connection.poisoned = true',
    to: 'this.#answer.send(reply)',
    corpus: ['policy'],
    cases: 'FRM-28',
  }),
  exchange({
    without: 'word of the end with a refusal',
    from: 'if (this.connection.poisoned) this.#answer.last = true',
    to: '',
    cases: 'FRM-19h',
  }),
  exchange({
    without: 'the end of a connection behind a last answer',
    from: 'this.#answer.end()\n    if (this.#answer.last) this.connection.poisoned = true',
    to: 'this.#answer.end()',
    cases: 'FRM-28',
  }),
  exchange({
    without: 'the deadline of origins',
    from: 'this.#forwarding?.check(now)',
    to: '',
    corpus: ['upstream-faults.test.ts'],
    cases: 'never says',
  }),

  taken({ without: 'the drop of what an origin did not take', from: 'source.drop(this)', to: '', cases: 'FRM-27' }),
  taken({
    without: 'errors that nobody reads',
    from: "stream.on('error', ignore)",
    to: '',
    cases: 'FRM-11|FRM-26',
  }),

  answer({
    without: 'answers to HEAD',
    from: 'const bodiless = this.#bodiless || status',
    to: 'const bodiless = status',
    cases: 'FRM-27e',
  }),
  answer({
    without: 'answers without a body',
    from: 'this.#bodiless || status === 204 || status === 304',
    to: 'this.#bodiless',
    corpus: ['responses'],
    cases: 'RSP-0',
  }),
  answer({
    without: 'no length with a 204',
    from: 'if (status === 204) continue',
    to: '',
    corpus: ['responses'],
    cases: 'RSP-0',
  }),
  answer({
    without: 'no chunks for HTTP/1.0',
    from: "this.#knowsChunks ? 'chunks' : 'close'",
    to: "'chunks'",
    corpus: ['responses'],
    cases: 'RSP-0',
  }),
  answer({
    without: 'the end of an answer without framing',
    from: "if (this.#framing === 'close') this.last = true",
    to: '',
    corpus: ['responses'],
    cases: 'RSP-0',
  }),
  answer({
    without: 'no body where there is none',
    from: "if (this.#framing === 'none') return true",
    to: '',
    corpus: ['responses'],
    cases: 'RSP-0',
  }),
  answer({ without: 'empty pieces that are no end', from: "piece.length === 0 ? '' : ", to: '', cases: 'FRM-27' }),
  answer({
    without: 'the last chunk',
    from: "(this.#framing === 'chunks' ? '0\\r\\n\\r\\n' : '')",
    to: "''",
    corpus: ['responses'],
    cases: 'RSP-',
  }),
  answer({
    without: 'the wish to close',
    from: 'return !close && (keepAlive',
    to: 'return (keepAlive',
    cases: 'FRM-28',
  }),
  answer({
    without: 'the end of HTTP/1.0',
    from: "(keepAlive || httpVersion === '1.1')",
    to: '(keepAlive || httpVersion !== "")',
    cases: 'FRM-28',
  }),
  answer({
    without: 'word of the end',
    from: "if (this.last) return 'Connection: close\\r\\n'",
    to: '',
    cases: 'FRM-28',
  }),
  answer({
    without: 'the order of a head and its body',
    from: 'if (this.#head !== null && this.#held === null && piece',
    to: 'if (this.#held === null && piece',
    cases: 'FRM-27',
  }),
]
