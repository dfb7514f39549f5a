/**
 * What a kind's definition says of a text in YAML: which fields may stand where, and what is wrong.
 *
 * Pure. Owns the walk through definitions (`/v1/schemaDefinitions`) along the
 * text; how it is shown belongs to the editor.
 */

import { isAlias, isMap, isScalar, isSeq, type Node, type Pair, type YAMLMap } from 'yaml'

import { documentsOf } from './documents'

export interface Field {
  /** `string`, `int`, `float`, `boolean`, `array`, `map`, or the name of a definition. */
  type: string
  /** Of the items of an array or the values of a map. */
  subtype?: string
  description?: string
  required?: boolean
  /** All that it may be, or that the items of an array may be. */
  enum?: unknown[] | null
}

export interface Definitions {
  definitionType: string
  definitions: Record<string, { resourceFields?: Record<string, Field> | null } | undefined>
}

/** A kind as objects name it. */
export interface KindName {
  apiVersion: string
  kind: string
}

/** What stands at a place, and whether its definition leaves nothing open. */
interface Place {
  type: string
  subtype?: string | undefined
  /** Definitions of custom kinds may allow more than they say. */
  strict: boolean
  values?: unknown[] | undefined
}

/** Something wrong with a text, from (included) to (excluded). */
export interface Problem<M = string> {
  from: number
  to: number
  severity: 'error' | 'warning'
  message: M
}

/** How it is said. */
export interface Messages<M = string> {
  /** In the words of the parser. */
  syntax: (message: string) => M
  unknown: (field: string) => M
  missing: (field: string) => M
  expected: (type: string) => M
  oneOf: (values: string[]) => M
}

/** The place of an item, in a path. */
export const ITEM = '[]'

function fieldsOf({ definitions }: Definitions, type: string): Record<string, Field> | undefined {
  const fields = definitions[type]?.resourceFields
  return fields && Object.keys(fields).length > 0 ? fields : undefined
}

function placeOf(owner: string, field: Field): Place {
  return { type: field.type, subtype: field.subtype, strict: owner.startsWith('io.k8s.'), values: field.enum ?? undefined }
}

function step(all: Definitions, place: Place, key: string): Place | undefined {
  if (key === ITEM) return place.type === 'array' && place.subtype ? { type: place.subtype, strict: place.strict } : undefined
  if (place.type === 'map') return place.subtype ? { type: place.subtype, strict: place.strict } : undefined
  const field = fieldsOf(all, place.type)?.[key]
  return field && placeOf(place.type, field)
}

/** The fields that may stand below a path; none where anything may. */
export function fieldsAt(all: Definitions, path: string[]): Record<string, Field> {
  let place: Place | undefined = { type: all.definitionType, strict: true }
  for (const key of path) place = place && step(all, place, key)
  return (place && fieldsOf(all, place.type)) ?? {}
}

/** The field at a path. */
export function fieldAt(all: Definitions, path: string[]): Field | undefined {
  return fieldsAt(all, path.slice(0, -1))[path.at(-1) ?? '']
}

/** What may stand as the value of a key, or as an item of a list of plain values; none where anything may. */
export function valuesAt(all: Definitions, { path, key }: Pick<Context, 'path' | 'key'>): string[] {
  const isItem = key === undefined && path.at(-1) === ITEM
  const field = key === undefined ? (isItem ? fieldAt(all, path.slice(0, -1)) : undefined) : fieldAt(all, [...path, key])
  if (!field || (field.type === 'array') !== isItem) return []
  return field.type === 'boolean' ? ['true', 'false'] : (field.enum ?? []).map(String)
}

/** A line of YAML as far as places go: where its dashes and its key are. */
interface Line {
  dashes: number[]
  /** Column of what follows the dashes. */
  column: number
  key: string
  /** Nothing follows the key. */
  opens: boolean
}

function lineOf(text: string): Line | undefined {
  const [, indent = '', marks = '', rest = ''] = /^( *)((?:- +)*)(.*)$/.exec(text) ?? []
  if (rest === '' || rest.startsWith('#')) return undefined
  const dashes = [...marks.matchAll(/-/g)].map((mark) => indent.length + mark.index)
  const [, key = '', value = ''] = /^(["']?[\w.\-/$]+["']?):(?: +(.*))?$/.exec(rest) ?? []
  return { dashes, column: indent.length + marks.length, key: key.replaceAll(/["']/g, ''), opens: /^(#.*)?$/.test(value) }
}

/** Where in an object a cursor is. */
export interface Context {
  /** Keys from the top; `ITEM` for an item of a list. */
  path: string[]
  /** Keys that stand beside it already. */
  beside: string[]
  /** What is typed of the key so far begins here. */
  from: number
  /** The key whose value is typed. */
  key?: string
  indent: number
}

/** Where the cursor is, by the indentation of the lines before it; nothing where no field can be typed. */
export function contextAt(text: string, cursor: number): Context | undefined {
  const before = text.slice(0, cursor).split('\n')
  const current = before.pop() ?? ''
  const begin = before.findLastIndex((line) => line.startsWith('---')) + 1
  const [, indent = '', marks = '', typed = ''] = /^( *)((?:- +)*)(.*)$/.exec(current) ?? []
  const value = /^([\w.\-/]+): +(\S*)$/.exec(typed)
  if (!value && !/^[\w.\-/]*$/.test(typed)) return undefined
  const column = indent.length + marks.length
  const context: Context = { path: [], beside: [], from: cursor - (value?.[2] ?? typed).length, indent: column }
  if (value?.[1]) context.key = value[1]

  let bound = column
  /** Column of the dash whose list is looked for. */
  let list: number | undefined
  const cross = (dashes: number[]): void => {
    for (const dash of dashes.toReversed()) {
      context.path.unshift(ITEM)
      list = dash
      bound = dash
    }
  }
  cross([...marks.matchAll(/-/g)].map((mark) => indent.length + mark.index))
  // What was typed after a dash has nobody beside it but what follows.
  let isBeside = list === undefined
  for (let at = before.length - 1; at >= begin && (bound > 0 || list !== undefined || isBeside); at -= 1) {
    const line = lineOf(before[at] ?? '')
    if (!line || line.key === '') continue
    if (list !== undefined) {
      // The key of a list may stand in the column of its dashes.
      if (line.column > list || line.dashes.includes(list)) continue
      if (!line.opens) return undefined
      list = undefined
    } else if (line.column === bound) {
      if (isBeside) context.beside.push(line.key)
      if (line.dashes.length > 0) {
        isBeside = false
        cross(line.dashes)
      }
      continue
    } else if (line.column > bound) {
      continue
    } else if (!line.opens) {
      return undefined
    }
    isBeside = false
    context.path.unshift(line.key)
    bound = line.column
    cross(line.dashes)
  }
  return context
}

/** The kind of the object at a place of a text. */
export function kindAt(text: string, cursor: number): KindName | undefined {
  const start = Math.max(0, text.lastIndexOf('\n---', cursor))
  const end = text.indexOf('\n---', Math.max(cursor, start + 1))
  const part = text.slice(start, end < 0 ? undefined : end)
  const value = (key: string): string => new RegExp(`^${key}: *["']?([^"'\\s#]+)`, 'm').exec(part)?.[1] ?? ''
  const name = { apiVersion: value('apiVersion'), kind: value('kind') }
  return name.apiVersion !== '' && name.kind !== '' ? name : undefined
}

/** The kinds of all objects of a text. */
export function kindsIn(text: string): KindName[] {
  return documentsOf(text).flatMap(({ document }) => {
    const [apiVersion, kind] = isMap(document.contents) ? [document.get('apiVersion'), document.get('kind')] : []
    return typeof apiVersion === 'string' && typeof kind === 'string' ? [{ apiVersion, kind }] : []
  })
}

/** What is wrong with a text: its YAML, and what definitions say against it. */
export function problemsOf<M>(
  text: string,
  definitionsOf: (kind: KindName) => Definitions | undefined,
  messages: Messages<M>,
): Problem<M>[] {
  const problems: Problem<M>[] = []
  for (const { document, mistakes } of documentsOf(text)) {
    for (const { from, to, message } of mistakes) {
      const [line = message] = message.split('\n')
      problems.push({ from, to, severity: 'error', message: messages.syntax(line) })
    }
    const root = document.contents
    if (mistakes.length > 0 || !isMap(root)) continue
    const [apiVersion, kind] = [root.get('apiVersion'), root.get('kind')]
    if (typeof apiVersion !== 'string' || typeof kind !== 'string') continue
    const all = definitionsOf({ apiVersion, kind })
    if (all) check(root, { type: all.definitionType, strict: true }, all, messages, problems, true)
  }
  return problems
}

function rangeOf(node: Node): { from: number; to: number } {
  const [from = 0, to = from + 1] = node.range ?? []
  return { from, to: Math.max(to, from + 1) }
}

const SCALARS: Record<string, (value: unknown) => boolean> = {
  string: (value) => typeof value === 'string',
  int: (value) => typeof value === 'bigint' || Number.isInteger(value),
  float: (value) => typeof value === 'number' || typeof value === 'bigint',
  boolean: (value) => typeof value === 'boolean',
}

function check<M>(
  node: Node,
  place: Place,
  all: Definitions,
  messages: Messages<M>,
  problems: Problem<M>[],
  isRoot: boolean,
): void {
  // References within the text are read by the server; a null is the absence of a field.
  if (isAlias(node) || (isScalar(node) && node.value === null)) return
  const wrong = (type: string): void =>
    void problems.push({ ...rangeOf(node), severity: 'error', message: messages.expected(type) })
  const scalar = SCALARS[place.type]
  if (scalar) {
    // What custom kinds call text may be a number as well.
    const fits = isScalar(node) && (scalar(node.value) || (place.type === 'string' && !place.strict))
    if (!fits && (place.strict || place.type !== 'string')) wrong(place.type)
    else if (isScalar(node) && place.values && !place.values.includes(node.value))
      problems.push({ ...rangeOf(node), severity: 'error', message: messages.oneOf(place.values.map(String)) })
  } else if (place.type === 'array') {
    if (!isSeq(node)) return wrong('array')
    const items = place.subtype && { type: place.subtype, strict: place.strict, values: place.values }
    if (items) for (const item of node.items as Node[]) check(item, items, all, messages, problems, false)
  } else if (place.type === 'map') {
    if (!isMap(node)) return place.strict ? wrong('map') : undefined
    const values = place.subtype && { type: place.subtype, strict: place.strict }
    if (values)
      for (const { value } of node.items as Pair<Node, Node | null>[])
        if (value) check(value, values, all, messages, problems, false)
  } else {
    checkObject(node, place.type, all, messages, problems, isRoot)
  }
}

function checkObject<M>(
  node: Node,
  type: string,
  all: Definitions,
  messages: Messages<M>,
  problems: Problem<M>[],
  isRoot: boolean,
): void {
  const fields = fieldsOf(all, type)
  // Without fields it is anything: a quantity, a document of its own.
  if (!fields) return
  if (!isMap(node)) {
    problems.push({ ...rangeOf(node), severity: 'error', message: messages.expected('map') })
    return
  }
  const { items } = node as YAMLMap<Node, Node | null>
  const present = new Set<string>()
  for (const { key, value } of items) {
    const name = isScalar(key) ? String(key.value) : ''
    present.add(name)
    const field = fields[name]
    if (!field) problems.push({ ...rangeOf(key), severity: 'warning', message: messages.unknown(name) })
    // The server writes the status, and knows what belongs into it.
    else if (value && !(isRoot && name === 'status')) check(value, placeOf(type, field), all, messages, problems, false)
  }
  for (const [name, { required }] of Object.entries(fields)) {
    if (!required || present.has(name)) continue
    problems.push({ ...rangeOf(items[0]?.key ?? node), severity: 'error', message: messages.missing(name) })
  }
}
