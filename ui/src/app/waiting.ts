/** Why something is not here yet: on its way, or the server or the cluster is away. */

import { computed, type ComputedRef } from 'vue'

import { connected } from '@/data/norman/live'
import { moment } from '@/lib/moment'
import { t } from '@/texts'

import { useCluster } from './scope'

export interface Waiting {
  /** Nothing comes at the moment. */
  away: ComputedRef<boolean>
  /** What to say in the place of what is not there yet; `told` is what else is known of it, if nothing is away. */
  text: (told?: string) => string
}

export function useWaiting(): Waiting {
  const cluster = useCluster()
  const unavailable = computed(() => cluster.value?.state === 'unavailable')
  function text(told = ''): string {
    if (!connected.value) return t.waiting.server
    if (!cluster.value || !unavailable.value) return told || t.list.loading
    const since = cluster.value.conditions?.find((one) => one.type === 'Ready' && one.status !== 'True')?.lastTransitionTime
    return t.waiting.cluster(cluster.value.name ?? cluster.value.id, moment(since))
  }
  return { away: computed(() => !connected.value || unavailable.value), text }
}
