/** What nodes and clusters use at the moment, where a cluster measures it (`metrics.k8s.io`). */

import { onScopeDispose, shallowRef, watch, type ShallowRef } from 'vue'

import { eachOf } from '@/lib/each'
import { parseQuantity } from '@/lib/quantity'

import { listObjects, type KubernetesObject, type ResourceName } from './objects'

export interface Usage {
  /** Cores. */
  cpu: number
  /** Bytes. */
  memory: number
}

/** Milliseconds between two readings; clusters measure about as often. */
const PAUSE = 30_000
/** Milliseconds until a cluster that told nothing is asked again. */
const LONG_PAUSE = 600_000
/** Clusters that are asked at once, and at all. */
const [AT_ONCE, MOST] = [4, 100]
const NODES: ResourceName = { group: 'metrics.k8s.io', version: 'v1beta1', plural: 'nodes' }

/** Reads at once, twice a minute from then on while somebody looks, and at once again when `what` changes. */
function readOften(what: () => string, read: (isOver: () => boolean) => Promise<void>): void {
  let timer: ReturnType<typeof setTimeout> | undefined
  watch(
    what,
    (_, __, onCleanup) => {
      let isOver = false
      onCleanup(() => {
        isOver = true
        clearTimeout(timer)
      })
      const round = async (): Promise<void> => {
        if (!document.hidden) await read(() => isOver)
        if (!isOver) timer = setTimeout(() => void round(), PAUSE)
      }
      void round()
    },
    { immediate: true },
  )
  onScopeDispose(() => clearTimeout(timer))
}

/** By the name of the node; undefined where nobody measures, or the person may not see it. */
export function useNodeUsage(cluster: () => string): ShallowRef<Map<string, Usage> | undefined> {
  const usage = shallowRef<Map<string, Usage>>()
  watch(cluster, () => (usage.value = undefined))
  readOften(cluster, async (isOver) => {
    const found = cluster() === '' ? undefined : await measured(cluster())
    if (!isOver()) usage.value = found
  })
  return usage
}

/** What all nodes of each cluster use, by the cluster's id, where it is measured and the person may see it. */
export function useClusterUsage(clusters: () => string[]): ShallowRef<Map<string, Usage>> {
  const usage = shallowRef(new Map<string, Usage>())
  /** When clusters that told nothing are asked again. */
  const quiet = new Map<string, number>()
  const wanted = (): string[] => clusters().slice(0, MOST)
  readOften(
    () => wanted().join(' '),
    async (isOver) => {
      const asked = wanted().filter((id) => (quiet.get(id) ?? 0) <= Date.now())
      const found = new Map<string, Usage>()
      await eachOf(asked, AT_ONCE, async (id) => {
        const nodes = isOver() ? undefined : await measured(id)
        if (nodes) found.set(id, total(nodes))
        else quiet.set(id, Date.now() + LONG_PAUSE)
      })
      if (!isOver()) usage.value = found
    },
  )
  return usage
}

async function measured(cluster: string): Promise<Map<string, Usage> | undefined> {
  try {
    return usageOf((await listObjects(cluster, NODES)).items)
  } catch {
    // Nobody measures at the moment; what is requested is shown all the same.
    return undefined
  }
}

/** Pure. */
export function usageOf(items: KubernetesObject[]): Map<string, Usage> {
  return new Map(
    items.map(({ metadata, ...fields }) => {
      const { cpu, memory } = (fields as { usage?: { cpu?: string; memory?: string } }).usage ?? {}
      return [metadata.name, { cpu: parseQuantity(cpu) ?? 0, memory: parseQuantity(memory) ?? 0 }]
    }),
  )
}

/** Of all nodes together. Pure. */
export function total(usage: Map<string, Usage>): Usage {
  return [...usage.values()].reduce((sum, one) => ({ cpu: sum.cpu + one.cpu, memory: sum.memory + one.memory }), {
    cpu: 0,
    memory: 0,
  })
}
