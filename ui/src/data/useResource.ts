/** A resource of a cluster by its id, from discovery. */

import { computed, ref, shallowRef, watch, type ComputedRef, type Ref } from 'vue'

import { messageOf } from '@/api/http'
import { t } from '@/texts'

import { untilAnswered } from './backoff'
import { resources, type ApiResource } from './kubernetes/resources'

export interface Served {
  all: Ref<Map<string, ApiResource>>
  resource: ComputedRef<ApiResource | undefined>
  problem: Ref<string>
  /** By kind in lower case. */
  ofKind: (kind: string) => ApiResource | undefined
}

export function useResource(cluster: () => string, id: () => string): Served {
  const all = shallowRef(new Map<string, ApiResource>())
  const problem = ref('')
  watch(
    [cluster, id],
    async ([where, wanted], _, onCleanup) => {
      problem.value = ''
      if (where === '') return
      const left = new AbortController()
      onCleanup(() => left.abort())
      const found = await untilAnswered(
        () => resources(where),
        (error) => (problem.value = messageOf(error)),
        left.signal,
      )
      if (!found || left.signal.aborted) return
      all.value = found
      problem.value = wanted !== '' && !found.has(wanted) ? t.list.unknownKind(wanted) : ''
    },
    { immediate: true },
  )
  const kinds = computed(() => new Map([...all.value.values()].toReversed().map((one) => [one.kind.toLowerCase(), one])))
  return { all, resource: computed(() => all.value.get(id())), problem, ofKind: (kind) => kinds.value.get(kind.toLowerCase()) }
}
