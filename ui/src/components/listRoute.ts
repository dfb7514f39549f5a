/** The filter and the order of a list: they live in the route, so that a list can be sent to somebody. */

import { computed, type ComputedRef, type WritableComputedRef } from 'vue'
import { useRoute, useRouter } from 'vue-router'

export interface Sorting {
  id: string
  descending: boolean
}

export interface ListRoute {
  filter: WritableComputedRef<string>
  sorting: ComputedRef<Sorting | undefined>
  /** Orders by a column: ascending, then descending, then as at first. */
  orderBy: (id: string) => void
}

/** `first` is the column to order by when nobody chose one; with `-` before it, descending. */
export function useListRoute(first: () => string | undefined): ListRoute {
  const route = useRoute()
  const router = useRouter()
  const chosen = computed(() => String(route.query.sort ?? first() ?? ''))
  const sorting = computed(() =>
    chosen.value === '' ? undefined : { id: chosen.value.replace(/^-/, ''), descending: chosen.value.startsWith('-') },
  )
  return {
    filter: computed({
      get: () => String(route.query.q ?? ''),
      set: (text) => void router.replace({ query: { ...route.query, q: text || undefined } }),
    }),
    sorting,
    orderBy: (id) => {
      const next = sorting.value?.id !== id ? id : sorting.value.descending ? undefined : `-${id}`
      void router.replace({ query: { ...route.query, sort: next } })
    },
  }
}
