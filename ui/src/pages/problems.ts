/** What deserves attention, read from lists. Pure. */

import type { Column, Row } from '@/data/rows'
import { compareText } from '@/lib/order'
import { BAD_WORDS, toneOf } from '@/lib/tone'

export interface EventLine {
  id: string
  type: string
  reason: string
  object: string
  message: string
  namespace: string
  /** When it was last seen, as well as the list tells. */
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

/** Events, the newest first. */
export function eventsOf(rows: Row[], columns: Column[]): EventLine[] {
  return rows
    .map((row) => ({
      id: row.id,
      type: cell(row, columns, 'Type'),
      reason: cell(row, columns, 'Reason'),
      object: cell(row, columns, 'Object'),
      message: cell(row, columns, 'Message'),
      namespace: row.namespace,
      at: row.metadata.creationTimestamp ?? '',
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
