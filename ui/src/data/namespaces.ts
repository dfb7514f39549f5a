/** The namespaces of a cluster that the person may see, with their projects; one live list per cluster, shared by all pages. */

import { computed, effectScope, onScopeDispose, shallowRef, watch, type ComputedRef, type EffectScope } from 'vue'

import { list, type Namespace } from '@/api/norman'

import { NAMESPACES, type ObjectMeta } from './kubernetes/objects'
import type { ListState } from './rows'
import { openList } from './source'

export interface NamespaceInfo {
  name: string
  /** `cluster:project`, or empty. */
  projectId: string
  phase: string
  metadata: ObjectMeta
}

interface Shared {
  scope: EffectScope
  all: ComputedRef<NamespaceInfo[]>
  loaded: ComputedRef<boolean>
  users: number
  close: () => void
}

const PROJECT = 'field.cattle.io/projectId'
/** How often those are asked who may not watch namespaces. */
const ASK_EVERY = 15_000
const shared = new Map<string, Shared>()

export function useNamespaces(cluster: () => string): { all: ComputedRef<NamespaceInfo[]>; loaded: ComputedRef<boolean> } {
  const current = shallowRef<Shared>()
  const leave = (old: Shared | undefined): void => {
    if (old) old.users -= 1
  }
  watch(
    cluster,
    (id) => {
      leave(current.value)
      current.value = id === '' ? undefined : open(id)
      if (current.value) current.value.users += 1
    },
    { immediate: true },
  )
  onScopeDispose(() => leave(current.value))
  return { all: computed(() => current.value?.all.value ?? []), loaded: computed(() => current.value?.loaded.value ?? false) }
}

/** The names that somebody may see in a cluster, whatever they may list. */
export async function visibleNamespaces(cluster: string): Promise<string[]> {
  return (await list<Namespace>(`clusters/${cluster}/namespaces`)).map((namespace) => namespace.id)
}

/** Ends all lists, after a sign-out. */
export function forgetNamespaces(): void {
  for (const one of shared.values()) one.close()
  shared.clear()
}

function open(cluster: string): Shared {
  const known = shared.get(cluster)
  if (known) return known
  // One cluster at a time is worked in; lists of clusters nobody looks at are not kept open.
  for (const [id, other] of shared) {
    if (other.users > 0) continue
    other.close()
    shared.delete(id)
  }
  const scope = effectScope(true)
  const one = scope.run(() => follow(cluster, scope))
  if (!one) throw new Error('the scope of namespaces has ended')
  shared.set(cluster, one)
  return one
}

function follow(cluster: string, scope: EffectScope): Shared {
  const resource = {
    ...NAMESPACES,
    id: 'namespaces',
    kind: 'Namespace',
    namespaced: false,
    verbs: [],
    shortNames: [],
    subresources: [],
  }
  const handle = openList({ cluster, resource, namespaces: [], visibleNamespaces: () => visibleNamespaces(cluster) })
  const asked = shallowRef<NamespaceInfo[]>()
  let timer: ReturnType<typeof setInterval> | undefined
  const ask = async (): Promise<void> => {
    try {
      const found = await list<Namespace>(`clusters/${cluster}/namespaces`)
      asked.value = found.map(fromNorman)
    } catch {
      // The list's own state says what is wrong; the next round asks again.
      asked.value ??= []
    }
  }
  watch(
    () => handle.state.phase,
    (phase) => {
      if (phase !== 'forbidden' || timer) return
      void ask()
      timer = setInterval(() => void ask(), ASK_EVERY)
    },
    { immediate: true },
  )
  return {
    scope,
    users: 0,
    all: computed(() => (asked.value ?? fromTable(handle.state)).toSorted((one, other) => one.name.localeCompare(other.name))),
    loaded: computed(() => asked.value !== undefined || !['loading', 'forbidden'].includes(handle.state.phase)),
    close: () => {
      clearInterval(timer)
      handle.close()
      scope.stop()
    },
  }
}

function fromTable(state: ListState): NamespaceInfo[] {
  const status = state.columns.findIndex((column) => column.name === 'Status')
  return [...state.rows.values()].map((row) => ({
    name: row.name,
    projectId: row.metadata.annotations?.[PROJECT] ?? '',
    phase: String(row.cells[status] ?? ''),
    metadata: row.metadata,
  }))
}

function fromNorman(namespace: Namespace): NamespaceInfo {
  const metadata: ObjectMeta = { name: namespace.id }
  if (namespace.created) metadata.creationTimestamp = namespace.created
  if (namespace.labels) metadata.labels = namespace.labels
  return { name: namespace.id, projectId: namespace.projectId ?? '', phase: namespace.state ?? '', metadata }
}
