/** The rows of a list as they are drawn: few at a time, each when it is its turn. */

import { computed, type ComputedRef } from 'vue'

import { useGradually } from './gradually'
import type { ShownRow } from './table'

export interface Line<T> {
  index: number
  key: string
  /** Nothing while it was not drawn yet. */
  row: T | undefined
  gone: boolean
}

export interface RowPlaces<T> {
  /** The places that are wanted. */
  places: () => number[]
  /** The first and the last of them in sight. */
  sight: () => [number, number]
  at: (index: number) => ShownRow<T> | undefined
  rowKey: (row: T) => string
}

/**
 * New rows come with the next frames, and so do those that changed: until it is its turn a row stands there as it was. A
 * second in which all that one sees changes is then no single piece of work.
 */
export function useDrawnRows<T>({ places, sight, at, rowKey }: RowPlaces<T>): ComputedRef<Line<T>[]> {
  const versions = new WeakMap<object, number>()
  let versioned = 0
  /** Tells a row that changed from itself as it was. */
  const turnOf = (row: T): string => {
    // A row that is no object is its own version.
    if (typeof row !== 'object' || row === null) return rowKey(row)
    const version = versions.get(row) ?? (versioned += 1)
    versions.set(row, version)
    return `${rowKey(row)} ${version}`
  }
  /** Those in sight come before those just outside of it. */
  const drawn = useGradually(() => {
    const [first, last] = sight()
    const isInSight = (index: number): boolean => index >= first && index <= last
    const wanted = places()
    return [...wanted.filter(isInSight), ...wanted.filter((index) => !isInSight(index))].flatMap((index) => {
      const shown = at(index)
      return shown ? [turnOf(shown.row)] : []
    })
  })
  let earlier = new Map<string, T>()
  return computed(() => {
    const seen = new Set<string>()
    const asDrawn = new Map<string, T>()
    const lines = places().map((index): Line<T> => {
      const shown = at(index)
      if (!shown) return { index, key: `#${index}`, row: undefined, gone: false }
      const id = rowKey(shown.row)
      // A row keeps its element wherever it moves; one that is read twice while others come and go is told apart by its place.
      const key = seen.has(id) ? `${id} #${index}` : id
      seen.add(id)
      const row = drawn.value.has(turnOf(shown.row)) ? shown.row : earlier.get(id)
      if (row !== undefined) asDrawn.set(id, row)
      return { index, key, row, gone: shown.gone }
    })
    earlier = asDrawn
    return lines
  })
}
