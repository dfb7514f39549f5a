/** Live lists for components: opened with the scope, closed with it, reopened when the query changes. */

import { computed, onScopeDispose, shallowRef, watch, type ComputedRef } from 'vue'

import { messageOf } from '@/api/http'

import { isRefusal, untilAnswered } from './backoff'
import { listColumns } from './explorer/columns'
import { openPagedList, type PagedList } from './explorer/list'
import { EVERYTHING, type ListQuery, type View } from './explorer/query'
import type { ApiResource } from './kubernetes/resources'
import type { Column, ListPhase, Row } from './rows'

export type { ListQuery, View } from './explorer/query'

/** The columns of some kinds, in their order; none while they are not known. */
export function useColumnsOf(
  cluster: () => string,
  resources: () => ApiResource[],
): { columns: ComputedRef<Column[][]>; problem: ComputedRef<string> } {
  const found = shallowRef(new Map<string, Column[]>())
  const problem = shallowRef('')
  async function read(where: string, resource: ApiResource, signal: AbortSignal): Promise<void> {
    const columns = await untilAnswered(
      () => listColumns(where, resource),
      // A kind without a schema is one the person may not see; the list itself says so.
      (error) => {
        if (!isRefusal(error)) problem.value = messageOf(error)
      },
      signal,
    )
    if (!columns || signal.aborted) return
    problem.value = ''
    found.value = new Map(found.value).set(`${where} ${resource.id}`, columns)
  }
  watch(
    () => [cluster(), resources()] as const,
    ([where, wanted], _, onCleanup) => {
      if (where === '') return
      const left = new AbortController()
      onCleanup(() => left.abort())
      problem.value = ''
      for (const resource of wanted) void read(where, resource, left.signal)
    },
    { immediate: true },
  )
  return {
    columns: computed(() => resources().map((resource) => found.value.get(`${cluster()} ${resource.id}`) ?? [])),
    problem: computed(() => problem.value),
  }
}

function keyOf(query: ListQuery): string {
  const { cluster, resource, labelSelector, fieldSelector, always = [], namespaces } = query
  return [cluster, resource.id, labelSelector, fieldSelector, ...always, ...namespaces].join(' ')
}

/** A list to page through; nothing while the query or the view is not known yet. */
export function usePagedList(
  query: () => ListQuery | undefined,
  view: () => View | undefined,
): ComputedRef<PagedList | undefined> {
  const list = shallowRef<PagedList>()
  let opened = ''
  watch(
    () => [query(), view()] as const,
    ([one, wanted]) => {
      const key = one ? keyOf(one) : ''
      if (key !== opened) {
        list.value?.close()
        list.value = undefined
        opened = ''
      }
      if (!one || !wanted) return
      if (list.value) {
        list.value.ask(wanted)
      } else {
        list.value = openPagedList(one, wanted)
        opened = key
      }
    },
    { immediate: true },
  )
  onScopeDispose(() => list.value?.close())
  return computed(() => list.value)
}

/** A beginning of a list. */
export interface Top {
  query: ListQuery
  view?: View
  /** How many rows at most. */
  most: number
}

export interface LiveRows {
  phase: ListPhase
  message: string
  rows: Row[]
  /** How many match, shown or not. */
  count: number
}

/** The beginnings of several lists, in their order; undefined where there is nothing to ask yet. */
export function useTops(tops: () => (Top | undefined)[]): ComputedRef<(LiveRows | undefined)[]> {
  const opened = shallowRef<{ key: string; list: PagedList | undefined }[]>([])
  watch(
    () => tops().map((top) => top && { ...top, key: `${keyOf(top.query)} ${top.most}` }),
    (wanted) => {
      const before = opened.value
      opened.value = wanted.map((top, index) => {
        const known = before[index]
        if (known?.list && known.key === top?.key) {
          known.list.ask(top.view ?? EVERYTHING)
          return known
        }
        return { key: top?.key ?? '', list: top && openPagedList(top.query, top.view ?? EVERYTHING, top.most) }
      })
      for (const old of before) if (!opened.value.includes(old)) old.list?.close()
    },
    { immediate: true },
  )
  onScopeDispose(() => {
    for (const { list } of opened.value) list?.close()
  })
  return computed(() => opened.value.map(({ list }) => list && rowsOf(list)))
}

export function useTop(top: () => Top | undefined): ComputedRef<LiveRows | undefined> {
  const all = useTops(() => [top()])
  return computed(() => all.value[0])
}

function rowsOf({ state }: PagedList): LiveRows {
  return { phase: state.phase, message: state.message, rows: state.pages.get(0) ?? [], count: state.count }
}
