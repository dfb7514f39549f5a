/** A resource of a cluster by its id, from discovery. */

import { computed, ref, shallowRef, watch, type ComputedRef, type Ref } from 'vue'

import { messageOf } from '@/api/http'
import { t } from '@/texts'

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
    async ([where, wanted]) => {
      problem.value = ''
      if (where === '') return
      try {
        all.value = await resources(where)
        if (wanted !== '' && !all.value.has(wanted)) problem.value = t.list.unknownKind(wanted)
      } catch (error) {
        problem.value = messageOf(error)
      }
    },
    { immediate: true },
  )
  const kinds = computed(() => new Map([...all.value.values()].toReversed().map((one) => [one.kind.toLowerCase(), one])))
  return { all, resource: computed(() => all.value.get(id())), problem, ofKind: (kind) => kinds.value.get(kind.toLowerCase()) }
}
