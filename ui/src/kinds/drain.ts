/** What a drain of nodes would do to each pod on them, decided as the server decides it. Pure. */

import type { KubernetesObject } from '@/data/kubernetes/objects'
import { compareText } from '@/lib/order'

export interface DrainOptions {
  deleteLocalData: boolean
  force: boolean
  ignoreDaemonSets: boolean
}

/**
 * `goes`: is evicted. `held`: is evicted once a disruption budget allows it. `stays`: is left where it is. `local`,
 * `alone` and `daemon` refuse the drain until the option of that name is chosen.
 */
export type Outcome = 'goes' | 'held' | 'stays' | 'local' | 'alone' | 'daemon'

export interface PodFate {
  namespace: string
  name: string
  node: string
  outcome: Outcome
  /** The budget that holds it. */
  budget?: string
}

interface PodSpec {
  nodeName?: string
  volumes?: { emptyDir?: unknown }[]
}

interface Selector {
  matchLabels?: Record<string, string>
  matchExpressions?: { key: string; operator: string; values?: string[] }[]
}

const MIRROR = 'kubernetes.io/config.mirror'

/** Refusals come first, what nothing happens to last. */
const ORDER: Outcome[] = ['alone', 'local', 'daemon', 'held', 'goes', 'stays']

export function refusesDrain(outcome: Outcome): boolean {
  return outcome === 'alone' || outcome === 'local' || outcome === 'daemon'
}

/** The fate of each pod, what needs a decision first. `budgets` are those of all namespaces that pods are in. */
export function fatesOf(pods: KubernetesObject[], budgets: KubernetesObject[], options: DrainOptions): PodFate[] {
  const left = new Map(budgets.map((budget) => [budget, allowed(budget)]))
  const fates = pods.map((pod): PodFate => {
    const { namespace = '', name } = pod.metadata
    const place = { namespace, name, node: (pod.spec as PodSpec | undefined)?.nodeName ?? '' }
    const outcome = judge(pod, options)
    if (outcome !== 'goes') return { ...place, outcome }
    const guarding = budgets.filter((budget) => guards(budget, pod))
    const holding = guarding.find((budget) => (left.get(budget) ?? 0) <= 0)
    if (holding) return { ...place, outcome: 'held', budget: holding.metadata.name }
    for (const budget of guarding) left.set(budget, (left.get(budget) ?? 0) - 1)
    return { ...place, outcome }
  })
  return fates.sort(
    (one, other) =>
      ORDER.indexOf(one.outcome) - ORDER.indexOf(other.outcome) ||
      compareText(`${one.namespace}/${one.name}`, `${other.namespace}/${other.name}`),
  )
}

function judge(pod: KubernetesObject, options: DrainOptions): Outcome {
  const { annotations = {}, ownerReferences = [], deletionTimestamp } = pod.metadata
  if (MIRROR in annotations || deletionTimestamp) return 'stays'
  const phase = (pod.status as { phase?: string } | undefined)?.phase
  const isFinished = phase === 'Succeeded' || phase === 'Failed'
  if (isFinished) return 'goes'
  const controller = ownerReferences.find((owner) => owner.controller)
  if (controller?.kind === 'DaemonSet') return options.ignoreDaemonSets ? 'stays' : 'daemon'
  if (!controller && !options.force) return 'alone'
  const isLocal = (pod.spec as PodSpec | undefined)?.volumes?.some((volume) => volume.emptyDir !== undefined) ?? false
  return isLocal && !options.deleteLocalData ? 'local' : 'goes'
}

function allowed(budget: KubernetesObject): number {
  return Number((budget.status as { disruptionsAllowed?: number } | undefined)?.disruptionsAllowed ?? 0)
}

function guards(budget: KubernetesObject, pod: KubernetesObject): boolean {
  if (budget.metadata.namespace !== pod.metadata.namespace) return false
  const selector = (budget.spec as { selector?: Selector } | undefined)?.selector
  return selector !== undefined && matches(selector, pod.metadata.labels ?? {})
}

/** Whether labels fit a selector; an empty one fits all. */
export function matches({ matchLabels = {}, matchExpressions = [] }: Selector, labels: Record<string, string>): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = labels[key]
      if (operator === 'Exists') return value !== undefined
      if (operator === 'DoesNotExist') return value === undefined
      const isAmong = value !== undefined && values.includes(value)
      return operator === 'NotIn' ? !isAmong : isAmong
    })
  )
}
