/** What nodes use at the moment, where a cluster measures it (`metrics.k8s.io`). */

import { onScopeDispose, shallowRef, watch, type ShallowRef } from 'vue'

import { parseQuantity } from '@/lib/quantity'

import { listObjects, type KubernetesObject } from './objects'
import { resources } from './resources'

export interface Usage {
  /** Cores. */
  cpu: number
  /** Bytes. */
  memory: number
}

/** Milliseconds between two readings; clusters measure about as often. */
const PAUSE = 30_000
const NODES = 'nodes.metrics.k8s.io'

/** By the name of the node; undefined where nobody measures, or the person may not see it. */
export function useNodeUsage(cluster: () => string): ShallowRef<Map<string, Usage> | undefined> {
  const usage = shallowRef<Map<string, Usage>>()
  let timer: ReturnType<typeof setTimeout> | undefined
  watch(
    cluster,
    (id, _, onCleanup) => {
      let isOver = false
      onCleanup(() => {
        isOver = true
        clearTimeout(timer)
      })
      usage.value = undefined
      const read = async (): Promise<void> => {
        const found = document.hidden ? usage.value : await measured(id)
        if (isOver) return
        usage.value = found
        timer = setTimeout(() => void read(), PAUSE)
      }
      if (id !== '') void read()
    },
    { immediate: true },
  )
  onScopeDispose(() => clearTimeout(timer))
  return usage
}

async function measured(cluster: string): Promise<Map<string, Usage> | undefined> {
  try {
    const resource = (await resources(cluster)).get(NODES)
    return resource && usageOf((await listObjects(cluster, resource)).items)
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
