/** Rows of lists, and what changes them: plain data, no network. */

import type { ShallowReactive } from 'vue'

import type { ObjectMeta } from './kubernetes/objects'

export interface Column {
  /** Unique among the columns of a list. */
  id: string
  name: string
  description: string
  type: string
  /** Shown only on demand. */
  wide: boolean
}

export interface Row {
  /** `namespace/name`, or the name. */
  id: string
  name: string
  namespace: string
  metadata: ObjectMeta
  cells: unknown[]
}

export type ListPhase = 'loading' | 'live' | 'lost' | 'forbidden' | 'failed'

export interface ListState {
  phase: ListPhase
  columns: Column[]
  rows: Map<string, Row>
  /** Why it is `forbidden`, `failed` or `lost`. */
  message: string
  /** Whether there are more objects than are kept. */
  truncated: boolean
}

export interface ListHandle {
  state: ShallowReactive<ListState>
  close: () => void
}

/** A Kubernetes Table, as lists and watches send it. */
export interface TableDocument {
  kind: string
  metadata?: { resourceVersion?: string; continue?: string; remainingItemCount?: number }
  columnDefinitions?: { name: string; type: string; format?: string; description?: string; priority?: number }[]
  rows?: { cells: unknown[]; object?: { metadata: ObjectMeta } }[]
}

/** One event of a watch that asks for Tables. */
export interface TableEvent {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'
  object: TableDocument & { code?: number; message?: string }
}

export function rowId(metadata: ObjectMeta): string {
  return metadata.namespace ? `${metadata.namespace}/${metadata.name}` : metadata.name
}

export function columnsOf(table: TableDocument): Column[] {
  return (table.columnDefinitions ?? []).map((definition, index) => ({
    id: `${index}-${definition.name}`,
    name: definition.name,
    description: definition.description ?? '',
    type: definition.type,
    wide: (definition.priority ?? 0) > 0,
  }))
}

export function rowsOf(table: TableDocument): Row[] {
  return (table.rows ?? []).flatMap(({ cells, object }) =>
    object
      ? [
          {
            id: rowId(object.metadata),
            name: object.metadata.name,
            namespace: object.metadata.namespace ?? '',
            metadata: object.metadata,
            cells,
          },
        ]
      : [],
  )
}

/** The rows after some events; the map that came in stays as it was. An `ERROR` is the caller's. */
export function applyEvents(rows: Map<string, Row>, events: TableEvent[]): Map<string, Row> {
  const next = new Map(rows)
  for (const event of events) {
    for (const row of rowsOf(event.object)) {
      if (event.type === 'DELETED') next.delete(row.id)
      else if (event.type === 'ADDED' || event.type === 'MODIFIED') next.set(row.id, row)
    }
  }
  return next
}

/** The version to watch from after some events. */
export function versionAfter(version: string, events: TableEvent[]): string {
  for (const event of events.toReversed()) {
    const metadata = event.object.metadata?.resourceVersion || event.object.rows?.[0]?.object?.metadata.resourceVersion
    if (metadata) return metadata
  }
  return version
}

/** Whether a watch must start over with a new list. */
export function isExpired(event: TableEvent): boolean {
  return event.type === 'ERROR' && event.object.code === 410
}

/** Splits a stream of lines into documents; what is not a whole line yet is returned as the rest. */
export function takeLines(buffer: string): { documents: TableEvent[]; rest: string } {
  const lines = buffer.split('\n')
  const rest = lines.pop() ?? ''
  return { documents: lines.filter((line) => line.trim() !== '').map((line) => JSON.parse(line) as TableEvent), rest }
}
