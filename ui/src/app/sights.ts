/** Which pages there are for the person: by what the server says they may see and do, live when that changes. */

import { computed, type ComputedRef } from 'vue'
import { useRoute } from 'vue-router'

import type { Cluster } from '@/api/norman'
import { session } from '@/api/session'
import { HUB, useAllowed, useHubPermits, useKinds, type Question } from '@/data/explorer/rights'
import { useCollection } from '@/data/norman/live'
import { t } from '@/texts'

import { paletteOpen } from './shortcuts'

/** Pages that are not for everybody. */
export type Need = 'users' | 'roles' | 'audit' | 'settings' | 'features' | 'importing' | 'nodes'

const MANAGEMENT = 'management.cattle.io'
const AUDIT: Question = { verb: 'list', apiGroup: 'auditlog.cattle.io', resource: 'auditlogs' }

/** What each of them takes, as it is asked about on the page that explains rights. */
export const QUESTIONS: Record<Need, Question> = {
  users: { verb: 'list', apiGroup: MANAGEMENT, resource: 'users' },
  roles: { verb: 'list', apiGroup: MANAGEMENT, resource: 'roletemplates' },
  audit: AUDIT,
  settings: { verb: 'list', apiGroup: MANAGEMENT, resource: 'settings' },
  features: { verb: 'list', apiGroup: MANAGEMENT, resource: 'features' },
  importing: { verb: 'create', apiGroup: MANAGEMENT, resource: 'clusters' },
  nodes: { verb: 'list', apiGroup: '', resource: 'nodes' },
}

export interface Sight {
  /** Whether the page may be seen; undefined while that is not known. */
  seen: boolean | undefined
  /** Whether it is offered: what one may only read of the settings of a server is no page to go to. */
  offered: boolean
}

/** The pages of the server itself. */
export function useSights(): ComputedRef<Record<Exclude<Need, 'nodes'>, Sight>> {
  const kinds = useKinds(() => HUB)
  const permits = useHubPermits(() => session.user?.id ?? '')
  const route = useRoute()
  // Only where it is offered, since each such question stands in that very log.
  // Before the first page is known, it may be one of a cluster.
  const isOffered = (): boolean => paletteOpen.value || (route.matched.length > 0 && route.params.cluster === undefined)
  const audit = useAllowed(() => (isOffered() ? AUDIT : undefined))
  const seen = (id: string): boolean | undefined => (kinds.value.known ? kinds.value.sees(id) : undefined)
  const may = (verb: string, resource: string): boolean | undefined => permits.value?.(verb, `${MANAGEMENT}.${resource}`)
  const only = (isSeen: boolean | undefined): Sight => ({ seen: isSeen, offered: isSeen === true })
  /** What makes a page worth going to that more people may look at. */
  const worth = (resource: string, by: boolean | undefined): Sight => ({
    seen: seen(`${resource}.${MANAGEMENT}`),
    offered: by === true,
  })
  return computed(() => ({
    users: only(may('list', 'users')),
    audit: only(audit.value),
    importing: only(may('create', 'clusters')),
    roles: worth('roletemplates', may('list', 'globalroles')),
    settings: worth('settings', may('update', 'settings')),
    features: worth('features', may('update', 'features')),
  }))
}

/** Why a page is not shown. */
export interface Refusal {
  text: string
  /** What about; nothing where the person may not even know whether there is something. */
  question?: Question & { clusterId?: string }
}

/** Whether the page of the route is shown to the person: `waiting` until that is known. */
export function useGate(): ComputedRef<'open' | 'waiting' | Refusal> {
  const route = useRoute()
  const sights = useSights()
  const id = computed(() => String(route.params.cluster ?? ''))
  const kinds = useKinds(() => id.value)
  const { items, loaded } = useCollection<Cluster>('cluster')
  return computed(() => {
    const need = route.meta.needs
    if (id.value !== '' && loaded.value && !items.value.some((one) => one.id === id.value)) return { text: t.overview.missing }
    if (need === undefined) return 'open'
    const inCluster = kinds.value.known ? kinds.value.sees('nodes') : undefined
    const isSeen = need === 'nodes' ? inCluster : sights.value[need].seen
    if (isSeen === undefined) return 'waiting'
    if (isSeen) return 'open'
    const question = { ...QUESTIONS[need], ...(id.value === '' ? {} : { clusterId: id.value }) }
    return { text: t.refused.reasons[need], question }
  })
}
