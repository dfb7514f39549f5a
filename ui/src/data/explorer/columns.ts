/** The columns of lists, from the schemas of `/v1`; kept per cluster and kind. */

import { request } from '@/api/http'
import type { ApiResource } from '@/data/kubernetes/resources'
import type { Column } from '@/data/rows'

import { base, columnsOf, typeOf, type SchemaColumn } from './query'

/** Milliseconds for which they count. */
const FRESH = 60_000

const known = new Map<string, Promise<Column[]>>()

export function listColumns(cluster: string, resource: ApiResource): Promise<Column[]> {
  const key = `${cluster} ${resource.id} ${resource.version}`
  let found = known.get(key)
  if (!found) {
    found = read(cluster, resource)
    known.set(key, found)
    // Definitions change: the next look after a while asks again.
    setTimeout(() => known.delete(key), FRESH)
    // A failure is not kept: the next look asks again.
    found.catch(() => known.delete(key))
  }
  return found
}

/** Asks again at the next look. */
export function forgetColumns(): void {
  known.clear()
}

async function read(cluster: string, resource: ApiResource): Promise<Column[]> {
  const path = `${base(cluster)}/schemas/${encodeURIComponent(typeOf(resource))}`
  const schema = await request<{ attributes?: { columns?: SchemaColumn[] | null } }>('GET', path)
  return columnsOf(schema.attributes?.columns ?? [])
}
