/** The namespaces of a cluster that the person may see, with their projects; one live list per cluster, shared by all pages. */

import { computed, onScopeDispose, shallowRef, watch, type ComputedRef } from 'vue'

import { compareText } from '@/lib/order'

import { openPagedList } from './explorer/list'
import { EVERYTHING } from './explorer/query'
import { NAMESPACES, type ObjectMeta } from './kubernetes/objects'
import type { ApiResource } from './kubernetes/resources'
import type { Row } from './rows'

export interface NamespaceInfo {
  name: string
  /** `cluster:project`, or empty. */
  projectId: string
  phase: string
  metadata: ObjectMeta
}

interface Shared {
  all: ComputedRef<NamespaceInfo[]>
  loaded: ComputedRef<boolean>
  users: number
  close: () => void
}

const PROJECT = 'field.cattle.io/projectId'
/** More of them than this nobody chooses from. */
const MOST = 5000
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
  const one = follow(cluster)
  shared.set(cluster, one)
  return one
}

const RESOURCE: ApiResource = {
  ...NAMESPACES,
  id: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
  verbs: [],
  shortNames: [],
  subresources: [],
}

function follow(cluster: string): Shared {
  const query = { cluster, resource: RESOURCE, namespaces: [], include: ['metadata.annotations', 'metadata.state.name'] }
  const list = openPagedList(query, EVERYTHING, MOST)
  return {
    users: 0,
    all: computed(() => (list.state.pages.get(0) ?? []).map(namespaceOf).sort((one, other) => compareText(one.name, other.name))),
    loaded: computed(() => list.state.loaded || list.state.phase === 'forbidden' || list.state.phase === 'failed'),
    close: () => list.close(),
  }
}

function namespaceOf({ name, metadata }: Row): NamespaceInfo {
  const { state } = metadata as ObjectMeta & { state?: { name?: string } }
  return { name, projectId: metadata.annotations?.[PROJECT] ?? '', phase: state?.name ?? '', metadata }
}
