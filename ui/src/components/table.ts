/** What a list shows, for `DataTable`. */

import type { RouteLocationRaw } from 'vue-router'

import type { Tone } from '@/lib/tone'

export interface TableColumn<T> {
  id: string
  name: string
  title?: string
  /** What the cell says. */
  text: (row: T) => string
  /** What it says to whoever stays on it; the text when absent. */
  hint?: (row: T) => string
  /** What it is ordered by; the text when absent. */
  order?: (row: T) => string | number
  /** Where the server has what it is ordered by and searched in; `-` before it when its order is the other way around. */
  field?: string
  /** Nothing to order by. */
  unordered?: boolean
  /** Makes the cell a state. */
  tone?: (row: T) => Tone | undefined
  /** Makes the cell a link. */
  to?: (row: T) => RouteLocationRaw | undefined
  /** Shown only on demand. */
  wide?: boolean
  /** Still shown on a phone. */
  phone?: boolean
  /** A second line on a phone: what other columns say where there is room for them. */
  under?: (row: T) => string
  mono?: boolean
  /** Takes the room that is left over; the first column when none does. */
  grow?: boolean
  /** Moves with the time of day, so that a filter does not look at it. */
  moving?: boolean
  /** Pixels; from the contents when absent. */
  width?: number
}

/** A row on the screen. */
export interface ShownRow<T> {
  row: T
  /** It exists no longer, and goes when nobody points at the list. */
  gone: boolean
}

const PER_CHARACTER = 7.7
const PADDING = 24
/** The mark before a state. */
const DOT = 14
const NARROWEST = 56
const WIDEST = 300
const SAMPLE = 200

/** The width a column needs for what it shows. */
export function widthOf<T>(column: TableColumn<T>, rows: T[]): number {
  if (column.width !== undefined) return column.width
  const longest = rows.slice(0, SAMPLE).reduce((most, row) => Math.max(most, column.text(row).length), column.name.length + 2)
  return Math.min(WIDEST, Math.max(NARROWEST, Math.round(longest * PER_CHARACTER + PADDING + (column.tone ? DOT : 0))))
}
