/** Rows of lists: plain data, no network. */

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
  /** When it was read, in milliseconds: ages in its cells count from then. */
  read: number
  /** What of its data was asked for (`ListQuery.include`). */
  data?: Record<string, string>
}

export type ListPhase = 'loading' | 'live' | 'lost' | 'forbidden' | 'failed'

export function rowId(metadata: ObjectMeta): string {
  return metadata.namespace ? `${metadata.namespace}/${metadata.name}` : metadata.name
}
