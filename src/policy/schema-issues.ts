/**
 * What a schema says is wrong, in words for the person who wrote the file. Pure.
 *
 * Promises: every complaint has a fix; an unknown key is answered with the key that was probably meant.
 */

import { Ajv, type ErrorObject } from 'ajv'
import type { TSchema } from 'typebox'
import type { IssueList } from './issue.ts'

const ajv = new Ajv({ allErrors: true, allowUnionTypes: true, strict: true, verbose: true })

/** Reports what is wrong with the value's shape. Compiled once per schema. */
export type ShapeCheck = (raw: unknown, issues: IssueList) => void

export function shapeCheck(schema: TSchema): ShapeCheck {
  const validate = ajv.compile(schema)
  return (raw, issues) => {
    if (validate(raw)) return
    for (const error of validate.errors ?? []) {
      const path = pathOf(error.instancePath, raw)
      const [at, message, fix] = complaint(error, path)
      issues.add(at, message, fix)
    }
  }
}

type Path = (string | number)[]

function complaint(error: ErrorObject, path: Path): [Path, string, string] {
  const { params } = error
  switch (error.keyword) {
    case 'additionalProperties': {
      const key = String(params['additionalProperty'])
      return [[...path, key], `unknown key "${key}"`, keyFix(key, knownKeys(error))]
    }
    case 'required': {
      const key = String(params['missingProperty'])
      return [path, `"${key}" is missing`, `add "${key}:" here`]
    }
    case 'enum':
      return [path, `${shown(error.data)} is none of its values`, `write one of ${list(params['allowedValues'])}`]
    case 'const':
      return [path, `${shown(error.data)} is not the value expected`, `write ${JSON.stringify(params['allowedValue'])}`]
    case 'type':
      return [path, `${shown(error.data)} is not ${typeWords(params['type'])}`, typeFix(error)]
    case 'minItems':
    case 'minProperties':
      return [path, 'is empty, so the rule could never match', 'name at least one, or drop the line']
    case 'pattern':
      return [
        path,
        `${shown(error.data)} is not a name`,
        'write lower-case letters, digits, dots, dashes and underscores, a letter or digit first',
      ]
    case 'maximum':
    case 'minimum': {
      const limit = String(params['limit'])
      const [is, write] = error.keyword === 'maximum' ? ['more', 'less'] : ['less', 'more']
      return [path, `${shown(error.data)} is ${is} than ${limit}`, `write ${limit} or ${write}`]
    }
    default:
      return [path, `${shown(error.data)} ${error.message ?? 'is not valid'}`, 'change it to what the format allows']
  }
}

function typeWords(type: unknown): string {
  const names: Readonly<Record<string, string>> = {
    array: 'a list',
    boolean: 'true or false',
    integer: 'a whole number',
    object: 'a group of keys',
    string: 'text',
  }
  const all = Array.isArray(type) ? type : [type]
  return all.map((one) => names[String(one)] ?? String(one)).join(' or ')
}

function typeFix(error: ErrorObject): string {
  if (error.data === null) return 'give it a value, or drop the line'
  if (error.params['type'] === 'array') return `write it as a list: [${scalarText(error.data)}]`
  if (error.params['type'] === 'string' && Array.isArray(error.data))
    return 'write one here, and an entry for each other'
  if (error.params['type'] === 'integer' && /^[0-9]+$/.test(scalarText(error.data)))
    return `write it without quotes: ${scalarText(error.data)}`
  if (error.params['type'] === 'string') return `if text is meant, put it in quotes: "${scalarText(error.data)}"`
  return `write ${typeWords(error.params['type'])}`
}

function scalarText(data: unknown): string {
  return typeof data === 'string' ? data : typeof data === 'object' ? '…' : (JSON.stringify(data) ?? '…')
}

function shown(data: unknown): string {
  if (data === undefined) return 'nothing'
  if (Array.isArray(data)) return 'a list'
  if (typeof data === 'object' && data !== null) return 'a group of keys'
  const text = JSON.stringify(data)
  return text.length > 80 ? `${text.slice(0, 80)}…"` : text
}

function list(values: unknown): string {
  return Array.isArray(values) ? values.map((value) => JSON.stringify(value)).join(', ') : String(values)
}

function knownKeys(error: ErrorObject): string[] {
  const properties: unknown = error.parentSchema?.['properties']
  return typeof properties === 'object' && properties !== null ? Object.keys(properties) : []
}

function keyFix(key: string, known: readonly string[]): string {
  const meant = nearest(key, known)
  return meant === null ? `remove it; known here: ${known.join(', ')}` : `did you mean "${meant}"?`
}

/** The name that was probably meant: the same but for case or plural, or at most two letters away. */
export function nearest(written: string, known: readonly string[]): string | null {
  const folded = written.toLowerCase().replace(/[_-]/g, '')
  let best: string | null = null
  let bestDistance = 3
  for (const name of known) {
    const distance = editDistance(folded.slice(0, 40), name.toLowerCase().replace(/[_-]/g, ''))
    if (distance < bestDistance && distance < name.length / 2) {
      best = name
      bestDistance = distance
    }
  }
  return best
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const swap = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      current.push(Math.min(swap, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1))
    }
    previous = current
  }
  return previous[b.length] ?? 0
}

/** `/rules/3/host` as keys and indexes; which of the two a part is, the value itself says. */
function pathOf(pointer: string, raw: unknown): Path {
  const path: Path = []
  let value = raw
  for (const part of pointer.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~')
    if (Array.isArray(value)) {
      path.push(Number(key))
      const items: readonly unknown[] = value
      value = items[Number(key)]
    } else {
      path.push(key)
      value = isRecord(value) ? value[key] : undefined
    }
  }
  return path
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
