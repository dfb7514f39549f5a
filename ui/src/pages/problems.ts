/** What deserves attention, read from lists. Pure. */

import type { Column, Row } from '@/data/rows'
import { parseDuration } from '@/lib/age'
import { compareText } from '@/lib/order'
import { BAD_WORDS, toneOf } from '@/lib/tone'

/** The column of events that tells when one was seen last. */
const SEEN = 'Last Seen'

export interface EventLine {
  id: string
  type: string
  reason: string
  object: string
  message: string
  namespace: string
  /** When it was last seen. */
  at: string
}

export interface PodProblem {
  id: string
  name: string
  namespace: string
  status: string
  restarts: number
}

/** The cell of a column by its name. */
export function cell(row: Row, columns: Column[], name: string): string {
  const index = columns.findIndex((column) => column.name === name)
  return index < 0 ? '' : String(row.cells[index] ?? '')
}

/** What the server is asked for the events that were seen last; nothing while their columns are not known. */
export function newestFirst(columns: Column[]): string {
  const seen = columns.findIndex((column) => column.name === SEEN)
  return seen < 0 ? '' : `-natural(metadata.fields[${seen}])`
}

/** When an event was last seen: one that comes again and again was made long ago. */
function seenAt(row: Row, columns: Column[]): string {
  const ago = parseDuration(cell(row, columns, SEEN))
  return ago === undefined ? (row.metadata.creationTimestamp ?? '') : new Date(row.read - ago * 1000).toISOString()
}

/** Events, the one that was seen last first. */
export function eventsOf(rows: Row[], columns: Column[]): EventLine[] {
  return rows
    .map((row) => ({
      id: row.id,
      type: cell(row, columns, 'Type'),
      reason: cell(row, columns, 'Reason'),
      object: cell(row, columns, 'Object'),
      message: cell(row, columns, 'Message'),
      namespace: row.namespace,
      at: seenAt(row, columns),
    }))
    .sort((one, other) => (one.at < other.at ? 1 : one.at > other.at ? -1 : 0))
}

/** What the server is asked for pods that may be in trouble; nothing while their columns are not known. */
export function troubleFilter(columns: Column[]): string {
  const status = columns.findIndex((column) => column.name === 'Status')
  return status < 0 ? '' : BAD_WORDS.map((word) => `metadata.fields[${status}]~${word}`).join(',')
}

/** Pods that do not run as they should, the worst first. */
export function podProblems(rows: Row[], columns: Column[]): PodProblem[] {
  return rows
    .map((row) => ({
      id: row.id,
      name: row.name,
      namespace: row.namespace,
      status: cell(row, columns, 'Status'),
      restarts: Number.parseInt(cell(row, columns, 'Restarts'), 10) || 0,
    }))
    .filter((pod) => toneOf(pod.status) === 'bad')
    .sort((one, other) => other.restarts - one.restarts || compareText(one.id, other.id))
}
