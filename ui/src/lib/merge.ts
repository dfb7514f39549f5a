/**
 * Three-way merge of objects, for an edit that met a change of somebody else.
 *
 * Maps are merged key by key; lists whose elements have names, element by
 * element; anything else is one value. Where both sides changed one value
 * differently, ours stands in the result and the place is told as a conflict.
 */

/** A place where both sides changed the same value. */
export interface MergeConflict {
  /** From the root: keys, and names of list elements in brackets. */
  path: string[]
  base: unknown
  mine: unknown
  theirs: unknown
}

export interface Merged {
  value: unknown
  conflicts: MergeConflict[]
}

/** Merges what `mine` and `theirs` each changed in `base`. */
export function merge3(base: unknown, mine: unknown, theirs: unknown): Merged {
  const conflicts: MergeConflict[] = []
  const value = step(base, mine, theirs, [], conflicts)
  return { value, conflicts }
}

/** The merged value with the conflicts at `paths` decided for the other side. */
export function takeTheirs(value: unknown, conflicts: MergeConflict[]): unknown {
  return conflicts.reduce((result, conflict) => put(result, conflict.path, conflict.theirs), structuredCloneOf(value))
}

/** Whether two JSON values are the same; the order of keys does not count, absent is `undefined`. */
export function same(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => same(item, b[index]))
  }
  if (isMap(a) && isMap(b)) {
    const keys = new Set([...Object.keys(a), ...Object.keys(b)])
    return [...keys].every((key) => same(a[key], b[key]))
  }
  return false
}

type JsonMap = Record<string, unknown>

function step(base: unknown, mine: unknown, theirs: unknown, path: string[], conflicts: MergeConflict[]): unknown {
  if (same(mine, theirs) || same(theirs, base)) return mine
  if (same(mine, base)) return theirs
  if (isMap(mine) && isMap(theirs)) return maps(isMap(base) ? base : {}, mine, theirs, path, conflicts)
  const lists = namedLists(base, mine, theirs)
  if (lists) return named(lists, path, conflicts)
  conflicts.push({ path, base, mine, theirs })
  return mine
}

function maps(base: JsonMap, mine: JsonMap, theirs: JsonMap, path: string[], conflicts: MergeConflict[]): JsonMap {
  const merged: JsonMap = {}
  for (const key of new Set([...Object.keys(mine), ...Object.keys(theirs)])) {
    const value = step(base[key], mine[key], theirs[key], [...path, key], conflicts)
    if (value !== undefined) merged[key] = value
  }
  return merged
}

interface NamedLists {
  base: Map<string, JsonMap>
  mine: Map<string, JsonMap>
  theirs: Map<string, JsonMap>
}

function named({ base, mine, theirs }: NamedLists, path: string[], conflicts: MergeConflict[]): JsonMap[] {
  const merged: JsonMap[] = []
  for (const name of new Set([...mine.keys(), ...theirs.keys()])) {
    const value = step(base.get(name), mine.get(name), theirs.get(name), [...path, `[${name}]`], conflicts)
    if (value !== undefined) merged.push(value as JsonMap)
  }
  return merged
}

function namedLists(base: unknown, mine: unknown, theirs: unknown): NamedLists | undefined {
  const [b, m, t] = [byName(base ?? []), byName(mine), byName(theirs)]
  return b && m && t ? { base: b, mine: m, theirs: t } : undefined
}

function byName(list: unknown): Map<string, JsonMap> | undefined {
  if (!Array.isArray(list)) return undefined
  const found = new Map<string, JsonMap>()
  for (const item of list) {
    const name = isMap(item) ? item.name : undefined
    if (typeof name !== 'string' || found.has(name)) return undefined
    found.set(name, item as JsonMap)
  }
  return found
}

function put(value: unknown, path: string[], replacement: unknown): unknown {
  const [head, ...rest] = path
  if (head === undefined) return replacement
  if (Array.isArray(value)) {
    const name = head.slice(1, -1)
    const others = value.filter((item) => !(isMap(item) && item.name === name))
    const at = value.findIndex((item) => isMap(item) && item.name === name)
    const next = put(value[at], rest, replacement)
    if (next !== undefined) others.splice(at < 0 ? others.length : at, 0, next)
    return others
  }
  const map: JsonMap = isMap(value) ? { ...value } : {}
  const next = put(map[head], rest, replacement)
  if (next === undefined) delete map[head]
  else map[head] = next
  return map
}

function structuredCloneOf(value: unknown): unknown {
  return value === undefined ? undefined : (JSON.parse(JSON.stringify(value)) as unknown)
}

function isMap(value: unknown): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
