/** Checks of bodies and of the fields that rules set, wherever they are made. */

import type { Mutant } from './mutants.ts'

type Row = Pick<Mutant, 'cases' | 'from' | 'to' | 'without'> & Partial<Pick<Mutant, 'corpus'>>

const bodies = (file: string, row: Row): Mutant => ({
  file,
  corpus: ['bodies'],
  unit: file.startsWith('net/') ? 'net' : 'policy',
  ...row,
})

export const bodyMutants: readonly Mutant[] = [
  bodies('policy/decide-request.ts', {
    without: 'the body where a rule looks at it',
    from: 'const open = judged && body === null && mayHaveBody(head)',
    to: 'const open = judged && body === null && false',
    cases: 'EXF-02',
  }),
  bodies('policy/decide-request.ts', {
    without: 'credentials in bodies',
    from: "if (foreign === 'allow' || !mayHaveBody(head)",
    to: "if (foreign === 'deny' || !mayHaveBody(head)",
    cases: 'SEC-26',
  }),
  bodies('policy/decide-request.ts', {
    without: 'WebSockets where a deny looks at bodies',
    from: "(head.method === 'WEBSOCKET' || matchesBody(rule, body))",
    to: 'matchesBody(rule, body)',
    cases: 'EXF-02w',
  }),
  bodies('policy/decide-request.ts', {
    without: 'rules that set one field to two values',
    from: 'if (before !== undefined && before[1] !== value)',
    to: 'if (before !== undefined && before[1] === value)',
    cases: 'EXF-02u',
  }),
  bodies('policy/foreign-body.ts', {
    without: 'what cannot be read',
    from: 'if (body.kind === null || body.plain === null || depth > depthMax) return unreadable',
    to: 'if (body.kind === null || body.plain === null || depth > depthMax) return null',
    cases: 'SEC-26u',
  }),
  bodies('policy/foreign-body.ts', {
    without: 'broken JSON',
    from: "if (body.kind === 'json' && body.json === null) return unreadable",
    to: "if (body.kind === 'json' && body.json === null) return null",
    cases: 'SEC-26u',
  }),
  bodies('policy/foreign-body.ts', {
    without: 'JSON that is called something else',
    from: 'looksLikeJson(body.plain) && body.json !== null',
    to: "body.kind === 'json' && body.json !== null",
    cases: 'SEC-26b',
  }),
  bodies('policy/foreign-body.ts', {
    without: 'lists of requests',
    from: "json.kind === 'array' ? json.items : [json]",
    to: '[json]',
    cases: 'SEC-26b',
  }),
  bodies('policy/body-pattern.ts', {
    without: 'items of a list of requests',
    from: "body.kind === 'array' ? [body, ...body.items] : [body]",
    to: '[body]',
    cases: 'EXF-02b',
  }),
  bodies('policy/body-pattern.ts', {
    without: 'the fold of names',
    from: 'name === segment || folded(name) === folded(segment)',
    to: 'name === segment',
    cases: 'EXF-02',
  }),
  bodies('policy/body-pattern.ts', {
    without: 'the value as written',
    from: 'find(body, segments, sameName).length > 0 &&',
    to: 'find(body, segments, sameNameLoosely).length > 0 &&',
    cases: 'EXF-02m',
  }),
  bodies('policy/rule-match.ts', {
    without: 'what cannot be read',
    from: "if (json === null) return rule.action !== 'allow'",
    to: "if (json === null) return rule.action === 'allow'",
    cases: 'EXF-02',
  }),
  bodies('policy/rule-match.ts', {
    without: 'the fold of field names',
    from: 'spelled === foldName(name) ||',
    to: 'fields[i] === name ||',
    cases: 'EXF-02',
  }),
  bodies('policy/rule-match.ts', {
    without: 'members of a list',
    from: "[value, ...value.split(',')].some(",
    to: '[value].some(',
    cases: 'EXF-02f',
  }),
  bodies('policy/body-reading.ts', {
    without: 'two types',
    from: 'if (second !== undefined) return null\n  const essence',
    to: 'const essence',
    cases: 'SEC-26u',
  }),
  bodies('exchange/judge-body.ts', {
    without: 'what the body decided',
    from: 'const judged = decide(body)',
    to: "const judged = decide(new BodyReading(head, Buffer.from('{}')))",
    cases: 'EXF-02b',
  }),
  bodies('net/multipart.ts', {
    without: 'the request line',
    from: 'if (method === undefined || target === undefined || fields === null) return null',
    to: "if (fields === null) return null; if (method === undefined || target === undefined) return { method: '', query: null, fields, body: '' }",
    cases: 'SEC-26u',
  }),
  bodies('policy/foreign-body.ts', {
    without: 'parts that are bodies',
    from: 'if (isForm && !isStructured(part)) continue',
    to: 'if (isForm || !isStructured(part)) continue',
    cases: 'SEC-26b',
  }),
  bodies('policy/foreign-body.ts', {
    without: 'parts of forms that are',
    from: "return kind === null || kind === 'multipart' || kind === 'request'",
    to: 'return kind === null',
    cases: 'SEC-26b',
  }),
  bodies('policy/foreign-body.ts', {
    without: 'a bound to nesting',
    from: 'depth > depthMax',
    to: 'depth < 0',
    cases: 'SEC-26u',
  }),
  bodies('policy/foreign-body.ts', {
    without: 'fields of requests within',
    from: 'const place = findForeignCredential(inner, placeholder)',
    to: 'const place = null',
    cases: 'SEC-26b',
  }),
  bodies('policy/foreign-body.ts', {
    without: 'their cookies',
    from: '/^-*cookie2?-*$/.test(foldName(name))',
    to: "foldName(name) === '-'",
    cases: 'SEC-26b',
  }),
  bodies('exchange/decoded-body.ts', {
    without: 'the bytes behind the end',
    from: "decoded === 'trailing' ? 'broken' : decoded",
    to: "decoded === 'trailing' ? Buffer.from('{}') : decoded",
    cases: 'SEC-26',
  }),
  bodies('exchange/decoded-body.ts', {
    without: 'the other reading',
    from: "if (again === 'broken') return decoded",
    to: 'return decoded',
    corpus: ['unit/exchange/decoded-body.test.ts'],
    cases: 'one way',
  }),
  bodies('exchange/decoded-body.ts', {
    without: 'the bound',
    from: "if (bodies.isTooLarge(bytes + piece.length)) settle('too_large')",
    to: "if (bytes < 0) settle('too_large')",
    cases: 'SEC-26',
  }),
  bodies('credentials/equip.ts', {
    without: 'the coding of what went out instead',
    from: 'withoutFields(stripped.head, ofBytes)',
    to: 'stripped.head',
    cases: 'placeholder in a body',
  }),
  bodies('exchange/held-bodies.ts', {
    without: 'the bound',
    from: 'return bytes > this.#limits.bodyBytesMax',
    to: 'return bytes < 0',
    cases: 'SEC-26',
  }),
  bodies('exchange/held-bodies.ts', {
    without: 'the deadline',
    from: "setTimeout(() => settle('too_slow'), this.#limits.timeoutMs)",
    to: "setTimeout(() => settle('too_slow'), 2 ** 30)",
    cases: 'SEC-26x',
  }),
  bodies('credentials/client-credentials.ts', {
    without: 'the fold of names that rules set',
    from: '(name) => names.has(spelling(name))',
    to: '(name) => names.has(name)',
    cases: 'EXF-02t',
  }),
  bodies('credentials/client-credentials.ts', {
    without: 'fields of our own',
    from: 'value === null ? [] : [name, value]',
    to: 'value === null ? [name, name] : [name, value]',
    cases: 'EXF-02t',
  }),
  bodies('net/multipart.ts', {
    without: 'preambles',
    from: 'if (!body.startsWith(delimiter)) return null',
    to: '',
    cases: 'SEC-26u',
  }),
  bodies('net/multipart.ts', {
    without: 'what begins like a delimiter',
    from: 'if (next < 0 || !body.startsWith(end, stop) ||',
    to: 'if (next < 0 ||',
    cases: 'SEC-26u',
  }),
  bodies('net/multipart.ts', {
    without: 'other kinds of multipart',
    from: 'if (boundary === null) return null',
    to: 'if (boundary === null) return []',
    cases: 'SEC-26u',
  }),
  bodies('net/json-value.ts', {
    without: 'the end of the text',
    from: 'value === null || !reader.atEnd() ? null : value',
    to: 'value',
    cases: 'SEC-26u',
  }),
  bodies('net/json-value.ts', {
    without: 'escapes',
    from: 'return notPlain.test(inside) ? unescaped(inside) : inside',
    to: 'return inside',
    cases: 'SEC-26b|EXF-02b',
  }),
  bodies('credentials/kinds/placeholder.ts', {
    without: 'the placeholder alone',
    from: "value.kind === 'string' && value.text === theirs",
    to: "value.kind === 'string' && value.text.includes(theirs)",
    cases: 'placeholder in a body',
  }),
  bodies('credentials/kinds/placeholder.ts', {
    without: 'the names of the fields',
    from: 'members.includes(name) &&',
    to: '',
    cases: 'placeholder in a body',
  }),
  bodies('exchange/deliver.ts', {
    without: 'the length of what was swapped',
    from: '(swapped ?? exchange.held).length',
    to: 'exchange.held.length',
    cases: 'placeholder in a body',
  }),
]
