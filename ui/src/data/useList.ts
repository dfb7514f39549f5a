/** Live lists for components: opened with the scope, closed with it, reopened when the query changes. */

import { computed, onScopeDispose, shallowRef, watch, type ComputedRef } from 'vue'

import type { Column, ListHandle, ListPhase, ListState, Row } from './rows'
import { openList, type ListQuery } from './source'

export interface LiveList {
  phase: ComputedRef<ListPhase>
  columns: ComputedRef<Column[]>
  rows: ComputedRef<Row[]>
  message: ComputedRef<string>
  truncated: ComputedRef<boolean>
}

/** Several lists at once, in the order of the queries. */
export function useLists(queries: () => ListQuery[]): ComputedRef<ListHandle['state'][]> {
  const handles = shallowRef<ListHandle[]>([])
  const close = (): void => {
    for (const handle of handles.value) handle.close()
  }
  const key = computed(() =>
    queries().map((query) =>
      [query.cluster, query.resource.id, query.labelSelector, query.fieldSelector, ...query.namespaces].join(' '),
    ),
  )
  watch(
    () => key.value.join('\n'),
    () => {
      close()
      handles.value = queries().map(openList)
    },
    { immediate: true },
  )
  onScopeDispose(close)
  return computed(() => handles.value.map((handle) => handle.state))
}

/** One list; nothing while the query is not known yet. */
export function useList(query: () => ListQuery | undefined): LiveList {
  const states = useLists(() => {
    const one = query()
    return one ? [one] : []
  })
  const state = computed(() => states.value[0])
  return {
    phase: computed(() => state.value?.phase ?? 'loading'),
    columns: computed(() => state.value?.columns ?? []),
    rows: computed(() => (state.value ? rowsIn(state.value, query()?.namespaces ?? []) : [])),
    message: computed(() => state.value?.message ?? ''),
    truncated: computed(() => state.value?.truncated ?? false),
  }
}

/** The rows of some namespaces, all of them when none is named: a list may hold more than was asked for. */
export function rowsIn(state: ListState, namespaces: string[]): Row[] {
  const rows = [...state.rows.values()]
  if (namespaces.length === 0) return rows
  const wanted = new Set(namespaces)
  return rows.filter((row) => wanted.has(row.namespace))
}
