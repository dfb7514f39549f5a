/** Search over the objects of all clusters the person sees (`/v1/search`). */

import type { RouteLocationRaw } from 'vue-router'

import { request } from '@/api/http'
import { paths } from '@/lib/paths'

export interface Hit {
  name: string
  kind: string
  namespace: string
  cluster: string
  to: RouteLocationRaw
}

/** As the server tells it. */
export interface Found {
  resourceType: string
  id: string
  name: string
  displayName?: string
  namespace?: string
  cluster: string
  links: { self?: string }
}

const CLUSTER = 'management.cattle.io.cluster'
const LIMIT = 20

/** What was found, and how many clusters were not looked into, at least in part. */
export async function findObjects(text: string, signal: AbortSignal): Promise<{ hits: Hit[]; leftOut: number }> {
  const query = new URLSearchParams({ q: text, limit: String(LIMIT) })
  const answer = await request<{ data: Found[]; unreachable: string[]; unsearched: { cluster: string }[] }>(
    'GET',
    `/v1/search?${query}`,
    { signal },
  )
  return {
    hits: answer.data.flatMap((found) => hitOf(found) ?? []),
    leftOut: answer.unreachable.length + answer.unsearched.length,
  }
}

/** Where a found object is shown; kinds themselves and what has pages of its own is found among the commands. */
export function hitOf(found: Found): Hit | undefined {
  const { resourceType, id, name, displayName, namespace = '', cluster, links } = found
  const kind = resourceType.split('.').at(-1) ?? resourceType
  if (resourceType === CLUSTER) {
    return { name: displayName ?? name, kind, namespace: '', cluster: id, to: paths.cluster(id) }
  }
  // The link names the plural: `.../v1/apps.deployments/shop/web`.
  const plural = links.self && /\/v1\/([^/]+)\//.exec(links.self)?.[1]
  if (!plural || resourceType === 'schema' || resourceType.startsWith('management.')) return undefined
  const at = plural.lastIndexOf('.')
  const resource = at < 0 ? plural : `${plural.slice(at + 1)}.${plural.slice(0, at)}`
  return { name, kind, namespace, cluster, to: paths.object(cluster, resource, namespace, name) }
}
