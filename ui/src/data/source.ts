/**
 * Where lists come from.
 *
 * Pages know only this module: a query goes in, live rows come out. Which API
 * answers is decided in `openList`.
 */

import { openKubernetesList } from './kubernetes/list'
import type { ApiResource } from './kubernetes/resources'
import type { ListHandle } from './rows'

export interface ListQuery {
  cluster: string
  resource: ApiResource
  /** Only these namespaces; all that may be seen when empty. */
  namespaces: string[]
  /** Namespaces the person may see at all, for those who may not list across namespaces. */
  visibleNamespaces: () => Promise<string[]>
  labelSelector?: string
  fieldSelector?: string
}

/** Opens a live list; the caller closes it. */
export function openList(query: ListQuery): ListHandle {
  return openKubernetesList(query)
}
