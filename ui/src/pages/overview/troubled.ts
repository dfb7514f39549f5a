/** Objects whose own state says that something is wrong with them or that they are not there yet, as the server sees it. */

import { computed, type ComputedRef } from 'vue'

import { useKinds } from '@/data/explorer/rights'
import type { ApiResource } from '@/data/kubernetes/resources'
import type { Row } from '@/data/rows'
import { useTops, type ListQuery } from '@/data/useList'

/** Kinds that are looked at. Pods have their own reasons, and are told of by them. */
const KINDS = [
  'nodes',
  'deployments.apps',
  'statefulsets.apps',
  'daemonsets.apps',
  'jobs.batch',
  'persistentvolumeclaims',
] as const
/** Of each. */
const MOST = 12
const FILTER = 'metadata.state.error=true,metadata.state.transitioning=true'

export interface Troubled {
  id: string
  resource: ApiResource
  namespace: string
  name: string
  state: string
  /** Wrong, and not only on its way. */
  isError: boolean
  message: string
}

/** Where `cluster` is empty nothing is asked. */
export function useTroubled(
  cluster: () => string,
  served: () => Map<string, ApiResource>,
  query: (resource: ApiResource) => ListQuery,
): ComputedRef<Troubled[]> {
  const kinds = useKinds(cluster)
  const resources = computed(() =>
    cluster() === '' || !kinds.value.known ? [] : KINDS.flatMap((id) => (kinds.value.sees(id) ? (served().get(id) ?? []) : [])),
  )
  const lists = useTops(() =>
    resources.value.map((resource) => ({
      query: { ...query(resource), include: ['metadata.state'] },
      view: { filters: [FILTER], sort: '' },
      most: MOST,
    })),
  )
  return computed(() =>
    inOrder(
      lists.value.flatMap((list, index) => {
        const resource = resources.value[index]
        return resource ? (list?.rows ?? []).map((row) => troubledOf(row, resource)) : []
      }),
    ),
  )
}

/** Pure. */
export function troubledOf({ id, namespace, name, metadata }: Row, resource: ApiResource): Troubled {
  const { state = {} } = metadata as { state?: { name?: string; error?: boolean; message?: string } }
  return {
    id: `${resource.kind} ${id}`,
    resource,
    namespace,
    name,
    state: state.name ?? '',
    isError: state.error === true,
    message: state.message ?? '',
  }
}

/** What is wrong before what is on its way. Pure. */
export function inOrder(all: Troubled[]): Troubled[] {
  return all.toSorted((one, other) => Number(other.isError) - Number(one.isError))
}
