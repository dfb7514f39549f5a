/** Where one is: the cluster and the chosen namespaces, both read from the route. */

import { computed, type ComputedRef } from 'vue'
import { useRoute, useRouter } from 'vue-router'

import type { Cluster } from '@/api/norman'
import { useNamespaces } from '@/data/namespaces'
import { useCollection } from '@/data/norman/live'
import type { ListQuery } from '@/data/useList'
import type { ApiResource } from '@/data/kubernetes/resources'

export interface Scope {
  cluster: ComputedRef<string>
  /** What was chosen: namespace names and `project:ID`s. */
  chosen: ComputedRef<string[]>
  /** The namespaces that come to; empty when all are meant. */
  namespaces: ComputedRef<string[]>
  choose: (chosen: string[]) => void
  query: (resource: ApiResource) => ListQuery
}

export function useScope(): Scope {
  const route = useRoute()
  const router = useRouter()
  const cluster = computed(() => String(route.params.cluster ?? ''))
  const { all } = useNamespaces(() => cluster.value)
  const chosen = computed(() =>
    String(route.query.ns ?? '')
      .split(',')
      .filter(Boolean),
  )
  const namespaces = computed(() => {
    const projects = new Set(
      chosen.value.filter((one) => one.startsWith('project:')).map((one) => `${cluster.value}:${one.slice(8)}`),
    )
    const named = new Set(chosen.value.filter((one) => !one.startsWith('project:')))
    if (chosen.value.length === 0) return []
    const found = all.value.filter((one) => named.has(one.name) || projects.has(one.projectId)).map((one) => one.name)
    // Before the namespaces are known, the names stand for themselves; a project without any matches nothing.
    return found.length > 0 ? found : named.size > 0 ? [...named] : ['-']
  })
  return {
    cluster,
    chosen,
    namespaces,
    choose: (next) => void router.push({ query: { ...route.query, ns: next.length > 0 ? next.join(',') : undefined } }),
    query: (resource) => ({
      cluster: cluster.value,
      resource,
      namespaces: resource.namespaced ? namespaces.value : [],
    }),
  }
}

/** The cluster of the route as the management API shows it. */
export function useCluster(): ComputedRef<Cluster | undefined> {
  const route = useRoute()
  const { items } = useCollection<Cluster>('cluster')
  return computed(() => items.value.find((one) => one.id === route.params.cluster))
}
